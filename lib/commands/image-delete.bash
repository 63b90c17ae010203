# shellcheck shell=bash
# image-delete: delete the user's images, after saying what goes.
: "${CORE_TEMP?set by lib}" "${EXIT_NOT_FOUND:?}" "${EXIT_REFUSED:?}" "${EXIT_USAGE:?}" "${OPTIONS[help]?set by lib}" \
    "${OPTIONS_WORDS?set by lib}"

main() {
    options::parse "$@"
    local names=("${OPTIONS_WORDS[@]}") steps=(image-delete::_confirm) json name
    local flags=(${OPTIONS[force]:+--force} ${OPTIONS[with_source]:+--with-source})

    if ((${#names[@]} == 0)); then
        core::is_interactive || core::missing NAME
        steps=(image-delete::_ask_names "${steps[@]}")
    fi
    mlc::load
    menu::walk "${steps[@]}" || menu::left

    core::tell_line
    core::run_pre_hooks names "${names[*]}"
    json="$(core::helper images delete "${flags[@]}" -- "${names[@]}")" || exit
    while IFS= read -r name; do
        core::info "image '${name}' is deleted"
    done < <(jq -r '.deleted[].name' <<< "${json}")
}

image-delete::_ask_names() {
    image::several names Delete
}

image-delete::_check() {
    core::make_temp
    core::helper images delete --dry-run "${flags[@]}" -- "${names[@]}" > "${CORE_TEMP}/answer"
}

# A step of menu::walk: all names are checked before the first image goes, then comes the last word.
image-delete::_confirm() {
    image::or_back Delete image-delete::_check || return
    json="$(< "${CORE_TEMP}/answer")"
    [[ -z "${OPTIONS[yes]}" ]] || return 2
    core::is_interactive || core::die "${EXIT_USAGE}" "nobody can be asked whether to delete" \
        "add '--yes' to delete $(core::join ', ' "${names[@]}")"
    menu::confirm Delete "$(image-delete::_text "${json}")" || return
    ((${#steps[@]} == 1)) || core::answered "${names[@]}"
    core::answered --yes
}

# What goes, for a person.
image-delete::_text() { # <json of images delete --dry-run>
    jq -r '
        "These images will be deleted:", (.deleted[] | "  \(.name)"),
        (if (.sources | length) == 0 then "Their source stays." else "and their source in", (.sources[] | "  \(.)") end),
        (if (.containers | length) == 0 then empty
            else "Containers that were made of them stay and work on: \(.containers | join(", "))." end)' <<< "$1"
}
