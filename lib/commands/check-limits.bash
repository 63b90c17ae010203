# shellcheck shell=bash
# check-limits: a person's use against each limit, as bars.
: "${EXIT_OK:?}"

main() {
    local words=() flags=()
    while (($# > 0)); do
        case "$1" in
            -h | --help) core::help && exit "${EXIT_OK}" ;;
            --json) flags+=(--json) && shift ;;
            --) shift && words+=("$@") && break ;;
            -*) core::unknown_option "$1" ;;
            *) words+=("$1") && shift ;;
        esac
    done
    ((${#words[@]} <= 1)) || core::usage_error "unexpected word '${words[1]}'"

    core::run_pre_hooks
    core::helper limits_usage "${flags[@]}" ${words[0]:+"${words[0]}"}
}
