# shellcheck shell=bash
# ds01-config: check the configuration files, show what holds for a user and where it comes from.
: "${EXIT_OK:?}" "${EXIT_USAGE:?}"

main() {
    local verb='' user='' words=() near
    while (($# > 0)); do
        case "$1" in
            -h | --help) core::help && exit "${EXIT_OK}" ;;
            --json) words+=(--json) ;;
            --)
                shift
                break
                ;;
            -*) core::unknown_option "$1" ;;
            *)
                ds01-config::_word "$1"
                ;;
        esac
        shift
    done
    while (($# > 0)); do
        ds01-config::_word "$1"
        shift
    done

    if [[ -z "${verb}" ]]; then
        core::is_interactive || core::missing "a verb: check or show"
        verb="$(menu::select Configuration "What do you want to do?" check "look for mistakes in all files" \
            show "what holds for you, and where it comes from")" || menu::left
        core::answered "${verb}"
    fi

    core::tell_line
    core::run_pre_hooks
    case "${verb}" in
        check) core::helper check_config "${words[@]}" ;;
        show) core::helper show_config "${words[@]}" ${user:+-- "${user}"} ;;
        *)
            near="$(nearest::word "${verb}" check show)"
            [[ -z "${near}" ]] || core::die "${EXIT_USAGE}" "unknown verb '${verb}'" "did you mean '${near}'?"
            core::usage_error "unknown verb '${verb}', it is check or show"
            ;;
    esac
}

# Take a word that is no option. Sets: verb, user of main.
ds01-config::_word() { # <word>
    if [[ -z "${verb}" ]]; then
        verb="$1"
    elif [[ "${verb}" == show && -z "${user}" && -n "$1" ]]; then
        user="$1"
    else
        core::usage_error "unexpected word '$1'"
    fi
}
