# shellcheck shell=bash
# Choosing among the user's containers, by menu or with --all.
: "${PROJECT_ROOT:?set by lib/run-command}" "${EXIT_NOT_FOUND:?}" "${EXIT_OK:?}"

# The user's containers as tag and description, for a menu: framework, state, GPUs, how long idle, what comes next.
# Sets: the array named.
choose::items() { # <array-name> [running|stopped]
    local -n choose_items="$1"
    local json
    json="$(core::helper containers choices ${2:+--only "$2"})" || exit
    # shellcheck disable=SC2034 # the caller's array, by reference
    mapfile -t choose_items < <(jq -r '.containers[] | .name, .text' <<< "${json}")
}

# The state of each of the user's containers by its name, asked once for all. Sets: the associative array named.
choose::states() { # <array-name>
    local -n choose_states="$1"
    local json name state
    json="$(core::helper containers choices)" || exit
    while IFS=$'\t' read -r name state; do
        # shellcheck disable=SC2034 # the caller's array, by reference
        choose_states["${name}"]="${state}"
    done < <(jq -r '.containers[] | [.name, .state] | @tsv' <<< "${json}")
}

# The names of the user's containers. Sets: the array named.
choose::names() { # <array-name> [running|stopped]
    local -n choose_names="$1"
    local json
    json="$(core::helper containers choices ${2:+--only "$2"})" || exit
    # shellcheck disable=SC2034 # the caller's array, by reference
    mapfile -t choose_names < <(jq -r '.containers[].name' <<< "${json}")
}

# Ask for one of the user's containers. Prints: its name.
choose::one() { # <title>
    local chosen=''
    choose::step chosen "$1" || menu::left
    printf '%s\n' "${chosen}"
}

# A step of menu::walk: one of the user's containers; the one that was chosen before is marked. Sets: the variable named.
choose::step() { # <variable> <title>
    local -n choose_step="$1"
    local items=() answer
    choose::items items
    ((${#items[@]} > 0)) || core::die "${EXIT_NOT_FOUND}" "there is no container to choose" \
        "run 'container-create' to make one"
    answer="$(menu::select --default "${choose_step}" "$2" "Which container?" "${items[@]}")" || return
    choose_step="${answer}"
}

# A step of menu::walk: any number of the user's containers; those that were chosen before are marked. Sets: the array
# named.
choose::several() { # <array-name> <title> [running|stopped]
    local items=()
    choose::items items "${3:-}"
    ((${#items[@]} > 0)) || core::die "${EXIT_NOT_FOUND}" "there is no ${3:+$3 }container to choose" \
        "run 'container-list' to see your containers"
    choose::marked "$1" "$2" "Which containers?" "${items[@]}"
}

# A step of menu::walk: a check list of which at least one row must be marked; those that were before are. Sets: the
# array named, to the tags.
choose::marked() { # <array-name> <title> <text> <tag> <description> [<tag> <description>]...
    local -n choose_marked="$1"
    local title="$2" text="$3" rows=() answer
    shift 3
    while (($# > 0)); do
        rows+=("$1" "$2" off)
        [[ " ${choose_marked[*]} " != *" $1 "* ]] || rows[-1]=on
        shift 2
    done
    while true; do
        answer="$(menu::checklist "${title}" "${text}" "${rows[@]}")" || return
        [[ -z "${answer}" ]] || break
        menu::message "${title}" "Nothing is marked. Mark at least one row, or go back." || return
    done
    mapfile -t choose_marked <<< "${answer}"
}

# How a question begins that is about so many containers: their list may be longer than the screen. Prints: it.
choose::these() { # <number>
    if (($1 == 1)); then printf 'This container\n'; else printf 'These %d containers\n' "$1"; fi
}

# Complete the names that a command was given: all of the user's with --all, else a choice by menu, and then what the
# command asks before it acts. A person at a terminal is asked; a script that named nothing is told so.
choose::fill() { # <array-name> <all: yes or empty> <title> <running, stopped or empty> [<step>...]
    local -n choose_filled="$1"
    local title="$3" only="$4"
    [[ -z "$2" || ${#choose_filled[@]} -eq 0 ]] || core::usage_error "give names or '--all', not both"
    if [[ -n "$2" ]]; then
        choose::names choose_filled "${only}"
        if ((${#choose_filled[@]} == 0)); then
            core::info "there is nothing to do"
            exit "${EXIT_OK}"
        fi
    elif ((${#choose_filled[@]} == 0)); then
        core::is_interactive || core::missing "NAME (or '--all')"
        menu::walk choose::_ask_several "${@:5}" || menu::left
        core::answered "${choose_filled[@]}"
        return
    fi
    (($# < 5)) || menu::walk "${@:5}" || menu::left
}

choose::_ask_several() {
    choose::several choose_filled "${title}" "${only}"
}

# Ask what to do with one of the containers, the images or the devices of a table, and run that: the last step of the
# tables' --interactive. Returns: only when the person goes back or leaves.
choose::act() { # [--about <words>] <title> <name> <command> <what it does> [<command> <what it does>]...
    local about='' title name words chosen
    if [[ "$1" == --about ]]; then
        about="$2"
        shift 2
    fi
    title="$1" name="$2"
    shift 2
    chosen="$(menu::select "${title}" "What shall be done with ${about:-"'${name}'"}?" "$@")" || return
    read -ra words <<< "${chosen}"
    case "${words[0]}" in
        # These ask in their turn, and tell the whole line then.
        container-create | container-remove | container-save | container-stop | image-delete | image-update) ;;
        *) core::same_in_words "${words[@]}" "${name}" ;;
    esac
    exec "${PROJECT_ROOT}/bin/${words[0]}" "${words[@]:1}" "${name}"
}

# The commands that suit a container as it is, each with what it does. Sets: the array named.
choose::verbs() { # <array-name> <container-json>
    local -n choose_verbs="$1"
    local remove=(container-remove "remove it; the workspace stays")
    choose_verbs=(container-open "open a shell in it")
    if [[ "$(jq -r .state <<< "$2")" == running ]]; then
        remove=("container-remove --force" "end what runs in it, and remove it")
        choose_verbs+=(container-stop "stop it; its files stay" container-keep "keep it running though it idles")
    else
        choose_verbs+=(container-start "start it")
    fi
    choose_verbs+=(container-save "put what you installed in it into an image" container-export "save it to one file")
    choose_verbs+=("${remove[@]}" container-why "tell what was done to it and what comes next")
    [[ "$(jq -r '.devices | length' <<< "$2")" == 0 ]] \
        || choose_verbs+=(gpu-explain "explain why it has the GPUs that it has")
}
