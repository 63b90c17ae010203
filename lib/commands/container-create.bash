# shellcheck shell=bash
# container-create: parse, ask for what is missing, make the container, say what was made.
# shellcheck disable=SC2154 # the keys of CREATE are no variables
: "${CREATE_MADE?set by lib}" "${CREATE[name]?set by lib}" "${CREATE_TAKEN?set by lib}" "${EXIT_OK:?}"

main() {
    local words=()
    while (($# > 0)); do
        case "$1" in
            -h | --help) core::help && exit "${EXIT_OK}" ;;
            --json) CREATE[json]=yes && shift ;;
            --) shift && words+=("$@") && break ;;
            -*)
                create::option "$@"
                ((CREATE_TAKEN > 0)) || core::unknown_option "$1"
                shift "${CREATE_TAKEN}"
                ;;
            *) words+=("$1") && shift ;;
        esac
    done
    ((${#words[@]} <= 3)) || core::usage_error "unexpected word '${words[3]}'"
    create::take_words "${words[@]}"

    create::ask_missing

    create::container
    if [[ -n "${CREATE[json]}" ]]; then
        printf '%s\n' "${CREATE_MADE}"
    elif [[ -z "${CORE_QUIET}" ]]; then
        create::summary
    fi
    create::tell_line
    guide::say next-container "${CREATE[name]}"
}
