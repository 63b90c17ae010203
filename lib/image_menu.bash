# shellcheck shell=bash
# The questions by which image-create fills what its flags fill, with a way back.
# shellcheck disable=SC2154 # the keys of IMAGE are no variables
: "${PROJECT_ROOT:?set by lib/run-command}" "${EXIT_LEFT:?}" "${IMAGE[name]?set by lib}" "${IMAGE_WHY?set by lib}" \
    "${IMAGE_WORDS?set by lib}"

# The tiers and use cases of this server, as JSON.
IMAGE_TIERS_JSON=''
# Which question a package that does not exist came from: pip or system, while the way leads back there.
IMAGE_WRONG=''

# Ask for what is needed and missing, or say which words are missing where nobody can be asked.
image::ask_missing() {
    local missing=() steps=()
    [[ -n "${IMAGE[name]}" ]] || missing+=(NAME) steps+=(image::_ask_name)
    [[ -n "${IMAGE[framework]}${IMAGE[from]}${IMAGE[dockerfile]}" ]] \
        || missing+=("'--framework' (or '--from')") steps+=(image::_ask_base)
    ((${#missing[@]} > 0)) || return 0
    core::is_interactive || core::missing "$(core::join ' and ' "${missing[@]}")"
    image::_walk "${steps[@]}"
}

# Ask for everything, step by step.
image::wizard() {
    image::_walk image::_ask_name image::_ask_base image::_ask_tiers image::_ask_types image::_ask_pip \
        image::_ask_system image::_ask_go
}

image::_walk() { # <step>...
    menu::walk "$@" image::_work_out || menu::left
    core::info "the same in one line: $(image::command_line)"
}

image::_load_tiers() {
    [[ -n "${IMAGE_TIERS_JSON}" ]] || IMAGE_TIERS_JSON="$(core::helper package_tiers)" || exit
}

image::_ask_name() {
    local answer
    while true; do
        answer="$(menu::input "New image" "A name for the image (lower-case letters, digits, . _ -):" "${IMAGE[name]}")" \
            || return
        IMAGE[name]="${answer}"
        if image::is_name "${answer}"; then
            image::is_mine "${answer}" || return 0
            menu::message "New image" "You have an image '${answer}' already.

Choose another name, or leave and type: image-update ${answer}" || return
            continue
        fi
        menu::message "New image" "'${answer}' is not a name for an image.

Use lower-case letters and digits, parts joined by single '-', '.' or '_'." || return
    done
}

image::_ask_base() {
    local rows=() answer status name default=''
    image::frameworks rows "${IMAGE[arch]}"
    [[ -z "${IMAGE[framework]}" ]] || default="${IMAGE[framework]} ${IMAGE[version]}"
    [[ -z "${IMAGE[from]}" ]] || default=other
    while true; do
        answer="$(menu::select --default "${default}" "New image" "What should '${IMAGE[name]}' be built on?" \
            "${rows[@]}" other "any other image, by its name")" || return
        if [[ "${answer}" != other ]]; then
            IMAGE[from]='' IMAGE[framework]="${answer%% *}" IMAGE[version]="${answer#* }"
            return 0
        fi
        # Back from here is back to the list, and so is no name.
        default=other status=0
        name="$(menu::input "New image" "The image, as 'docker images' shows it:" "${IMAGE[from]}")" || status=$?
        ((status != 255)) || return 255
        ((status == 0)) && [[ -n "${name}" ]] || continue
        IMAGE[from]="${name}" IMAGE[framework]='' IMAGE[version]=''
        return 0
    done
}

# A check list out of tiers or use cases. Prints: the chosen names, a line each.
image::_choose_layers() { # <key> <text> <chosen>...
    local key="$1" text="$2" rows=() items=() i
    mapfile -t rows < <(jq -r --arg key "${key}" '.[$key][] | .name, "\(.title): \(.pip + .apt | join(" "))"' \
        <<< "${IMAGE_TIERS_JSON}")
    ((${#rows[@]} > 1)) || return 2
    for ((i = 0; i < ${#rows[@]}; i += 2)); do
        items+=("${rows[i]}" "${rows[i + 1]}" off)
        [[ " ${*:3} " != *" ${rows[i]} "* ]] || items[-1]=on
    done
    menu::checklist "New image" "${text}" "${items[@]}"
}

image::_ask_tiers() {
    local answer names=()
    image::_load_tiers
    mapfile -t names < <(jq -r '.tiers[].name' <<< "${IMAGE_TIERS_JSON}")
    [[ -n "${IMAGE[no_tiers]}" || ${#IMAGE_TIERS[@]} -gt 0 ]] || IMAGE_TIERS=("${names[@]}")
    answer="$(image::_choose_layers tiers "Which tiers should it have?" "${IMAGE_TIERS[@]}")" || return
    IMAGE_TIERS=() IMAGE[no_tiers]=''
    [[ -n "${answer}" ]] || IMAGE[no_tiers]=yes
    [[ -z "${answer}" ]] || mapfile -t IMAGE_TIERS <<< "${answer}"
}

image::_ask_types() {
    local answer
    answer="$(image::_choose_layers use_cases "Which fields is it for, if any?" "${IMAGE_TYPES[@]}")" || return
    IMAGE_TYPES=()
    [[ -z "${answer}" ]] || mapfile -t IMAGE_TYPES <<< "${answer}"
}

image::_ask_pip() {
    local answer
    IMAGE_WRONG=''
    answer="$(menu::input "New image" "Python packages of your own, such as: rich polars>=1 (empty for none)" \
        "${IMAGE_PIP[*]}")" || return
    IMAGE_PIP=()
    image::split IMAGE_PIP "${answer}"
}

image::_ask_system() {
    local answer
    [[ "${IMAGE_WRONG}" != pip ]] || return 1
    IMAGE_WRONG=''
    answer="$(menu::input "New image" "Debian packages of your own, such as: graphviz tree (empty for none)" \
        "${IMAGE_SYSTEM[*]}")" || return
    IMAGE_SYSTEM=()
    image::split IMAGE_SYSTEM "${answer}"
}

# The summary, and the last word.
image::_ask_go() {
    local answer=build text names=() folder status
    [[ -z "${IMAGE_WRONG}" ]] || return 1
    mapfile -t names < <(jq -r '.tiers[].name' <<< "${IMAGE_TIERS_JSON}")
    # All tiers is what a command line without the option means.
    [[ "${IMAGE_TIERS[*]}" != "${names[*]}" ]] || IMAGE_TIERS=()
    [[ -z "${IMAGE[no_build]}" ]] || answer=source
    [[ -z "${IMAGE[dry_run]}" ]] || answer=show
    while true; do
        IMAGE[no_build]='' IMAGE[dry_run]=''
        text="$(image::_summary)"
        answer="$(menu::select --default "${answer}" "Image '${IMAGE[name]}'" "${text}" build "build the image now" \
            source "write the source, build it later" show "print the Dockerfile and leave" \
            folder "its source is in ${IMAGE[project]:-~/ds01/images/${IMAGE[name]}}" \
            shared "everybody on this server may use it: ${IMAGE[shared]:-no}")" || return
        case "${answer}" in
            source) IMAGE[no_build]=yes && return ;;
            show) IMAGE[dry_run]=yes && return ;;
            folder)
                folder="${IMAGE[project]}" status=0
                [[ -d "${folder}" ]] || folder="${HOME}"
                folder="$(menu::folder "Folder of the source" "${folder}")" || status=$?
                ((status != 255)) || return 255
                ((status != 0)) || IMAGE[project]="${folder}"
                ;;
            shared) [[ -n "${IMAGE[shared]}" ]] && IMAGE[shared]='' || IMAGE[shared]=yes ;;
            *) return 0 ;;
        esac
        answer=build
    done
}

# The last step: have it worked out. What cannot be is told, and leads back to what can be answered otherwise.
image::_work_out() {
    local status=0 back=0
    mlc::load
    image::set_words
    image::offer_base || back=$?
    # Ctrl-C while it was built.
    ((back != EXIT_LEFT)) || return 255
    ((back == 0)) || return "${back}"
    image::plan create "${IMAGE_WORDS[@]}" || status=$?
    ((status != 0)) || return 2
    image::lead_back "New image" "${status}" || back=$?
    ((back == 1)) || return "${back}"
    case "${IMAGE_WHY%%$'\n'*}" in
        # What the administrator wrote there, no answer mends.
        *packages.yaml*) ;;
        *'Debian package'*) IMAGE_WRONG=system ;;
        *[Pp]ackage*) IMAGE_WRONG=pip ;;
        *) ;;
    esac
    # Packages that were typed with the command are no question to come back to.
    [[ -z "${IMAGE_WRONG}" || -n "${IMAGE_TIERS_JSON}" ]] || exit "${status}"
    return 1
}

# Print what was chosen, for a person.
image::_summary() {
    local base="${IMAGE[from]}"
    [[ -n "${base}" ]] || base="${IMAGE[framework]} ${IMAGE[version]}"
    local tiers="${IMAGE_TIERS[*]:-all}"
    [[ -z "${IMAGE[no_tiers]}" ]] || tiers=none
    printf 'base    %s\ntiers   %s\n' "${base}" "${tiers}"
    ((${#IMAGE_TYPES[@]} == 0)) || printf 'fields  %s\n' "${IMAGE_TYPES[*]}"
    ((${#IMAGE_PIP[@]} == 0)) || printf 'python  %s\n' "${IMAGE_PIP[*]}"
    ((${#IMAGE_SYSTEM[@]} == 0)) || printf 'debian  %s\n' "${IMAGE_SYSTEM[*]}"
    printf '\nThe same in one line:\n%s\n' "$(image::command_line)"
}
