# shellcheck shell=bash
# container-save: what was installed in a container goes into the source of an image, which is built.
: "${CORE_QUIET?set by lib}" "${EXIT_OK:?}" "${EXIT_REFUSED:?}" "${EXIT_USAGE:?}" "${IMAGE_ANSWER?set by lib}" \
    "${IMAGE_PLAN?set by lib}"

# What the container has and its image has not, as JSON.
SAVE_CHANGES=''

main() {
    local words=() commit='' dry_run='' json='' yes='' status=0
    while (($# > 0)); do
        case "$1" in
            -h | --help) core::help && exit "${EXIT_OK}" ;;
            --commit) commit=yes && shift ;;
            --dry-run) dry_run=yes && shift ;;
            --json) json=yes && shift ;;
            -y | --yes) yes=yes && shift ;;
            -q | --quiet) core::be_quiet && shift ;;
            --) shift && words+=("$@") && break ;;
            -*) core::unknown_option "$1" ;;
            *) words+=("$1") && shift ;;
        esac
    done
    ((${#words[@]} <= 2)) || core::usage_error "unexpected word '${words[2]}'"
    [[ -z "${words[1]:-}" ]] || image::check_name "${words[1]}"

    if ((${#words[@]} == 0)); then
        core::is_interactive || core::missing NAME
        container-save::_ask
    else
        container-save::_look "${words[0]}"
        [[ -n "${words[1]:-}" ]] || words[1]="$(jq -r '.image // ""' <<< "${SAVE_CHANGES}")"
        container-save::_name_image
    fi
    mlc::load
    if [[ -n "${dry_run}" ]]; then
        container-save::_print "${json}"
        core::tell_line
        exit "${EXIT_OK}"
    fi
    [[ -n "${CORE_QUIET}" ]] || container-save::_print '' >&2
    [[ -n "${commit}" ]] || container-save::_check "${words[0]}"
    if [[ -z "${yes}" ]] && core::is_interactive; then
        menu::confirm Save "$(container-save::_text "${commit}" "${words[@]}")" || status=$?
        ((status == 0)) || menu::left
    fi

    core::tell_line
    core::run_pre_hooks name "${words[0]}" image "${words[1]}"
    if [[ -n "${commit}" ]]; then
        container-save::_commit "${words[@]}"
    else
        container-save::_build "${words[1]}"
    fi
    if [[ -n "${json}" ]]; then
        image::print_json
    elif [[ -z "${CORE_QUIET}" ]] && jq -e '.built != false' <<< "${IMAGE_BUILT}" > /dev/null; then
        image::print_summary
    fi
    [[ -n "${commit}" ]] || image::tell_outdated "${words[0]}"
}

# See what a container has that its image has not. Sets: SAVE_CHANGES.
container-save::_look() { # <container>
    SAVE_CHANGES="$(core::helper container_changes show "$1")" || exit
}

# Ask for the container, and for the image where it does not tell. Sets: words of main.
container-save::_ask() {
    local name='' image=''
    menu::walk container-save::_ask_name container-save::_ask_image || menu::left
    words=("${name}" "${image}")
    core::answered "${words[@]}"
}

container-save::_ask_name() {
    choose::step name Save || return
    container-save::_look "${name}"
    image="$(jq -r '.image // ""' <<< "${SAVE_CHANGES}")"
}

container-save::_ask_image() {
    local answer="${image:-${name,,}}"
    [[ -z "${image}" ]] || return 2
    while true; do
        answer="$(menu::input Save "A name for the image:" "${answer}")" || return
        image::is_name "${answer}" && image="${answer}" && return 0
        menu::message Save "'${answer}' is not a name for an image: use lower-case letters and digits, parts joined by\
 single '-', '.' or '_'." || return
    done
}

# Ask for the image's name where neither the words nor the container tell it. Sets: words of main.
container-save::_name_image() {
    local name="${words[0]}" image="${words[1]}"
    [[ -z "${image}" ]] || return 0
    core::is_interactive || core::missing "IMAGE, because '${name}' was not made of an image of yours"
    menu::walk container-save::_ask_image || menu::left
    words[1]="${image}"
    core::answered "${image}"
}

# Print what was found: for a person, or all of it.
container-save::_print() { # <json: yes or empty>
    if [[ -n "$1" ]]; then
        printf '%s\n' "${SAVE_CHANGES}"
        return
    fi
    jq -r '
        (.pip[] | "  + \(.name) \(.version)\(if .old then " (was \(.old))" else "" end)"),
        (.apt[] | "  + \(.name) \(.version) (Debian)"),
        (.removed.pip + .removed.apt | .[] | "  - \(.) is gone from the container; the image keeps it"),
        (.notes[] | "  ! \(.)")' <<< "${SAVE_CHANGES}"
}

# Is there anything to put into a source, and a base to build it on?
container-save::_check() { # <container>
    jq -e '(.pip | length) + (.apt | length) > 0' <<< "${SAVE_CHANGES}" > /dev/null \
        || core::die "${EXIT_REFUSED}" "no packages were installed in container '$1'" \
            "run 'container-save $1 IMAGE --commit' to keep other files of it"
    jq -e '.base != null' <<< "${SAVE_CHANGES}" > /dev/null \
        || core::die "${EXIT_REFUSED}" "container '$1' was imported: there is no image to build on" \
            "run 'container-save $1 IMAGE --commit' to keep its files as they are"
}

container-save::_text() { # <commit> <container> <image>
    if [[ -n "$1" ]]; then
        printf "Make image '%s' a copy of container '%s' as it is?\n\nIt will have no source: nobody can see how it was made, \
and 'image-update' cannot change it." "$3" "$2"
    else
        printf "Put this into the source of image '%s' and build it?\n\n%s" "$3" "$(container-save::_print '')"
    fi
}

# Add what was found to the image's source, or begin one, and build.
container-save::_build() { # <image>
    local items item found flags=()
    found="$(core::helper images resolve -- "$1")" || exit
    mapfile -t items < <(jq -r '.pip[].word' <<< "${SAVE_CHANGES}")
    if [[ "$(jq -r '.found and .mine' <<< "${found}")" == true ]]; then
        for item in "${items[@]}"; do flags+=("--add=${item}"); done
        mapfile -t items < <(jq -r '.apt[].word' <<< "${SAVE_CHANGES}")
        for item in "${items[@]}"; do flags+=("--add-system=${item}"); done
        image::plan update "$1" "${flags[@]}" || exit
    else
        for item in "${items[@]}"; do flags+=("--pip=${item}"); done
        mapfile -t items < <(jq -r '.apt[].word' <<< "${SAVE_CHANGES}")
        for item in "${items[@]}"; do flags+=("--system=${item}"); done
        mapfile -t items < <(jq -r '.base[]' <<< "${SAVE_CHANGES}")
        image::plan create "$1" "${items[@]}" "${flags[@]}" || exit
    fi
    image::tell_warnings
    if image::is_up_to_date; then
        core::info "image '$1' has all of it already"
        return
    fi
    [[ -n "${CORE_QUIET}" ]] || image::print_changes >&2
    image::build --made-by container-save
}

# Copy the container's files into an image without a source. Sets: IMAGE_BUILT, IMAGE_PLAN.
container-save::_commit() { # <container> <image>
    core::info "copying the files of '$1'"
    image::governed image_commit -- "$1" "$2" || exit
    IMAGE_BUILT="${IMAGE_ANSWER}"
    IMAGE_PLAN="$(jq -c '{name, base: {image: .base}, layers: [], folder: "none: it is a copy of a container"}' <<< "${IMAGE_BUILT}")"
}
