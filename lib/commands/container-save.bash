# shellcheck shell=bash
# container-save: what was installed in a container goes into the source of an image, which is built.
: "${CORE_QUIET?set by lib}" "${EXIT_OK:?}" "${EXIT_REFUSED:?}" "${IMAGE_ANSWER?set by lib}" \
    "${IMAGE_PLAN?set by lib}" "${OPTIONS[help]?set by lib}" "${OPTIONS_WORDS?set by lib}"

# What the container has and its image has not, as JSON.
SAVE_CHANGES=''

main() {
    options::parse "$@"
    local words=("${OPTIONS_WORDS[@]}") steps=(container-save::_ask_image container-save::_confirm)
    local name='' image='' known='' confirmed=''
    [[ -z "${words[1]:-}" ]] || image::check_name "${words[1]}"

    if ((${#words[@]} == 0)); then
        core::is_interactive || core::missing NAME
        steps=(container-save::_ask_name "${steps[@]}")
    else
        name="${words[0]}"
        container-save::_look "${name}"
        [[ -z "${words[1]:-}" ]] || known="${words[1]}"
    fi
    menu::walk "${steps[@]}" || menu::left
    ((${#words[@]} > 0)) || core::answered "${name}"
    [[ -n "${known}" ]] || core::answered "${image}"
    [[ -z "${confirmed}" ]] || core::answered --yes

    [[ -n "${OPTIONS[dry_run]}${confirmed}${CORE_QUIET}" ]] || container-save::_print '' >&2
    [[ -z "${OPTIONS[dry_run]}" ]] || container-save::_print "${OPTIONS[json]}"
    core::tell_line
    [[ -z "${OPTIONS[dry_run]}" ]] || exit "${EXIT_OK}"

    core::run_pre_hooks name "${name}" image "${image}"
    if [[ -n "${OPTIONS[commit]}" ]]; then
        container-save::_commit "${name}" "${image}"
    else
        container-save::_build "${image}"
    fi
    if [[ -n "${OPTIONS[json]}" ]]; then
        image::print_json
    elif [[ -z "${CORE_QUIET}" ]] && jq -e '.built != false' <<< "${IMAGE_BUILT}" > /dev/null; then
        image::print_summary
    fi
    [[ -n "${OPTIONS[commit]}" ]] || image::tell_outdated "${name}"
}

# See what a container has that its image has not. Sets: SAVE_CHANGES, and known of main.
container-save::_look() { # <container>
    SAVE_CHANGES="$(core::helper container_changes show "$1")" || exit
    known="$(jq -r '.image // ""' <<< "${SAVE_CHANGES}")"
}

container-save::_ask_name() {
    local before="${name}"
    choose::step name Save || return
    [[ "${name}" == "${before}" ]] || image=''
    container-save::_look "${name}"
}

# Where neither the words nor the container tell the image.
container-save::_ask_image() {
    local answer="${image:-${name,,}}"
    if [[ -n "${known}" ]]; then
        image="${known}"
        return 2
    fi
    core::is_interactive || core::missing "IMAGE, because '${name}' was not made of an image of yours"
    while true; do
        answer="$(menu::input Save "A name for the image:" "${answer}")" || return
        image::is_name "${answer}" && image="${answer}" && return 0
        menu::message Save "'${answer}' is not a name for an image: use lower-case letters and digits, parts joined by\
 single '-', '.' or '_'." || return
    done
}

# The last word, after what was found.
container-save::_confirm() {
    confirmed=''
    [[ -z "${OPTIONS[dry_run]}" ]] || return 2
    mlc::load
    [[ -n "${OPTIONS[commit]}" ]] || image::or_back Save container-save::_check "${name}" || return
    [[ -z "${OPTIONS[yes]}" ]] && core::is_interactive || return 2
    menu::confirm Save "$(container-save::_text)" || return
    confirmed=yes
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
    local copy="${image}"
    # A copy cannot take the place of an image with a source.
    ! image::is_mine "${image}" || copy+=-copy
    jq -e '(.pip | length) + (.apt | length) > 0' <<< "${SAVE_CHANGES}" > /dev/null \
        || core::die "${EXIT_REFUSED}" "no packages were installed in container '$1'" \
            "run 'container-save $1 ${copy} --commit' to keep other files of it"
    jq -e '.base != null' <<< "${SAVE_CHANGES}" > /dev/null \
        || core::die "${EXIT_REFUSED}" "container '$1' was imported: there is no image to build on" \
            "run 'container-save $1 ${copy} --commit' to keep its files as they are"
}

container-save::_text() {
    local text="Put this into the source of image '${image}' and build it?"
    if [[ -n "${OPTIONS[commit]}" ]]; then
        printf "Make image '%s' a copy of container '%s' as it is?\n\nIt will have no source: nobody can see how it was made, \
and 'image-update' cannot change it." "${image}" "${name}"
        return
    fi
    image::is_mine "${image}" || text="Make an image '${image}' with this and build it?"
    printf '%s\n\n%s' "${text}" "$(container-save::_print '')"
}

# Add what was found to the image's source, or begin one, and build.
container-save::_build() { # <image>
    local words
    if image::is_mine "$1"; then
        mapfile -t words < <(jq -r '"--add=" + .pip[].word, "--add-system=" + .apt[].word' <<< "${SAVE_CHANGES}")
        image::plan update "$1" "${words[@]}" || exit
    else
        mapfile -t words < <(jq -r '.base[], "--pip=" + .pip[].word, "--system=" + .apt[].word' <<< "${SAVE_CHANGES}")
        image::plan create "$1" "${words[@]}" || exit
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
