# shellcheck shell=bash
# container-create: parse, ask for what is missing, make the container, say what was made.
# shellcheck disable=SC2154 # the keys of CREATE are no variables
: "${CREATE[name]?set by lib}" "${CREATE_MADE?set by lib}" "${OPTIONS[help]?set by lib}" "${OPTIONS_WORDS?set by lib}"

main() {
    options::parse "$@"
    create::take_options
    create::take_words "${OPTIONS_WORDS[@]}"

    create::ask_missing

    create::container
    if [[ -n "${OPTIONS[json]}" ]]; then
        printf '%s\n' "${CREATE_MADE}"
    elif [[ -z "${CORE_QUIET}" ]]; then
        create::summary
    fi
    create::tell_line
    guide::say next-container "${CREATE[name]}"
}
