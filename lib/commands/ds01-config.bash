# shellcheck shell=bash
# ds01-config: check the configuration files, show what holds for a user and where it comes from.
: "${EXIT_USAGE:?}" "${OPTIONS_GIVEN?set by lib}" "${OPTIONS_WORDS?set by lib}"

main() {
    local verb='' user='' word near
    options::parse "$@"
    for word in "${OPTIONS_WORDS[@]}"; do
        if [[ -z "${verb}" ]]; then
            verb="${word}"
        elif [[ "${verb}" == show && -z "${user}" && -n "${word}" ]]; then
            user="${word}"
        else
            core::usage_error "unexpected word '${word}'"
        fi
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
        check) core::helper check_config "${OPTIONS_GIVEN[@]}" ;;
        show) core::helper show_config "${OPTIONS_GIVEN[@]}" ${user:+-- "${user}"} ;;
        *)
            near="$(nearest::word "${verb}" check show)"
            [[ -z "${near}" ]] || core::die "${EXIT_USAGE}" "unknown verb '${verb}'" "did you mean '${near}'?"
            core::usage_error "unknown verb '${verb}', it is check or show"
            ;;
    esac
}
