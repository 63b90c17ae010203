# shellcheck shell=bash
# What a new project should be, and the questions by which project-init fills what its flags fill, with a way back;
# user-setup's last step asks them too.
: "${PROJECT_ROOT:?set by lib/run-command}" "${EXIT_NOT_FOUND:?}"

# What flags and menus fill.
declare -A PROJECT=([name]='' [type]='' [dir]='' [image]='' [container]='' [framework]='' [version]='' [git]=yes
    [dry_run]='' [json]='' [yes]='' [asked_framework]='')
# The command line that asks for the same, set by project::set_words.
PROJECT_WORDS=("")

# Ask for everything, step by step; may be a step of menu::walk itself.
project::walk() {
    menu::walk project::_ask_name project::_ask_type project::_ask_more project::ask_framework
}

# Is this a name for a project? As python/project_files.py checks it.
project::is_name() { # <name>
    ((${#1} <= 40)) && [[ "$1" =~ ^[a-z0-9]+([_-][a-z0-9]+)*$ ]]
}

project::_ask_name() {
    guide::say project || return
    local answer="${PROJECT[name]}"
    while true; do
        answer="$(menu::input "New project" "A name for the project (lower-case letters, digits, - and _):" \
            "${answer}")" || return
        ! project::is_name "${answer}" || break
        menu::message "New project" "'${answer}' is not a name for a project: use lower-case letters and digits,\
 parts joined by single '-' or '_', at most 40." || return
    done
    PROJECT[name]="${answer}"
}

project::_ask_type() {
    local json items=() answer
    json="$(core::helper project_files types)" || exit
    mapfile -t items < <(jq -r '.types[] | .name, .title' <<< "${json}")
    answer="$(menu::select --default "${PROJECT[type]:-general}" "New project" \
        "What kind of project is '${PROJECT[name]}'?" "${items[@]}")" || return
    PROJECT[type]="${answer}"
}

project::_ask_more() {
    local chosen
    chosen="$(menu::checklist "New project" "What should it have?" \
        git "a git repository" "$(project::_mark git)" \
        image "an image with its own packages" "$(project::_mark image)" \
        container "a container from that image, ready to run" "$(project::_mark container)")" || return
    PROJECT[git]='' PROJECT[image]='' PROJECT[container]=''
    [[ "${chosen}" != *git* ]] || PROJECT[git]=yes
    [[ "${chosen}" != *image* ]] || PROJECT[image]=yes
    [[ "${chosen}" != *container* ]] || PROJECT[image]=yes PROJECT[container]=yes
}

project::_mark() { # <key>
    [[ -n "${PROJECT[$1]}" ]] && printf 'on\n' || printf 'off\n'
}

# A step of menu::walk: the framework and version of the image, if there shall be one.
project::ask_framework() {
    local items=() answer
    if [[ -z "${PROJECT[image]}" ]]; then
        # It was asked for an image that is not wanted any more.
        [[ -z "${PROJECT[asked_framework]}" ]] || PROJECT[framework]='' PROJECT[version]='' PROJECT[asked_framework]=''
        return 2
    fi
    [[ -z "${PROJECT[framework]}" || -n "${PROJECT[asked_framework]}" ]] || return 2
    # Only now: the first question is there sooner.
    mlc::load
    ! project::has_image || return 2
    guide::say image || return
    [[ -z "${PROJECT[container]}" ]] || guide::say container || return
    image::frameworks items
    ((${#items[@]} > 1)) || core::die "${EXIT_NOT_FOUND}" "the catalog has no image for this host" \
        "run 'image-create ${PROJECT[name]}' and name any other image as its base"
    answer="$(menu::select --default "${PROJECT[framework]} ${PROJECT[version]}" "New project" \
        "What should the image of '${PROJECT[name]}' be built on?" "${items[@]}")" || return
    PROJECT[framework]="${answer%% *}" PROJECT[version]="${answer#* }" PROJECT[asked_framework]=yes
}

# Is there an image of the project's name already? Then it is the project's.
project::has_image() {
    image::is_mine "${PROJECT[name]}"
}

# The words that build the project's image from its folder. Sets: the array named.
project::image_words() { # <array-name> <folder>
    local -n project_words="$1"
    project_words=(image-create "${PROJECT[name]}" --project "$2" --requirements "$2/requirements.txt")
    [[ "${PROJECT[type]:-general}" == general ]] || project_words+=(--type "${PROJECT[type]}")
    [[ -z "${PROJECT[framework]}" ]] || project_words+=(--framework "${PROJECT[framework]}")
    [[ -z "${PROJECT[version]}" ]] || project_words+=(--version "${PROJECT[version]}")
}

# Say what to type next: what builds the image, where there is none yet, and what opens a shell.
project::tell_next() { # <folder>
    local words=()
    # An engine that does not answer has no image, and is told of by what is typed next.
    if (mlc::load && project::has_image) &> /dev/null; then
        core::info "next: container-run ${PROJECT[name]}"
        return
    fi
    project::image_words words "$1"
    core::info "next: $(core::print_words "${words[@]}")"
    core::info "then: container-run ${PROJECT[name]}"
}

# Put what is wanted into words. Sets: PROJECT_WORDS.
project::set_words() {
    PROJECT_WORDS=(project-init "${PROJECT[name]}")
    [[ "${PROJECT[type]:-general}" == general ]] || PROJECT_WORDS+=(--type "${PROJECT[type]}")
    [[ -z "${PROJECT[dir]}" ]] || PROJECT_WORDS+=(--dir "${PROJECT[dir]}")
    [[ -n "${PROJECT[git]}" ]] || PROJECT_WORDS+=(--no-git)
    if [[ -n "${PROJECT[container]}" ]]; then
        PROJECT_WORDS+=(--container)
    elif [[ -n "${PROJECT[image]}" ]]; then
        PROJECT_WORDS+=(--image)
    fi
    [[ -z "${PROJECT[framework]}" ]] || PROJECT_WORDS+=(--framework "${PROJECT[framework]}")
    [[ -z "${PROJECT[version]}" ]] || PROJECT_WORDS+=(--version "${PROJECT[version]}")
    [[ -z "${PROJECT[dry_run]}" ]] || PROJECT_WORDS+=(--dry-run)
    [[ -z "${PROJECT[json]}" ]] || PROJECT_WORDS+=(--json)
}
