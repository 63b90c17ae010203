# shellcheck shell=bash
# ds01-lifecycle: one pass over all containers; cron runs it every minute.
: "${EXIT_OK:?}" "${EXIT_REFUSED:?}" "${PROJECT_ROOT:?set by lib/run-command}"

main() {
    local words=() dry=''
    while (($# > 0)); do
        case "$1" in
            -h | --help) core::help && exit "${EXIT_OK}" ;;
            -n | --dry-run) words+=(--dry-run) dry=yes ;;
            --json) words+=(--json) ;;
            -q | --quiet) words+=(--quiet) ;;
            -*) core::unknown_option "$1" ;;
            *) core::usage_error "unexpected word '$1'" ;;
        esac
        shift
    done
    # An installation of one user's own has a state of its own.
    if [[ -z "${dry}" ]] && ((EUID != 0)) && [[ -z "${DS01_ROOT:-}" && ! -e "${PROJECT_ROOT}/paths.json" ]]; then
        core::die "${EXIT_REFUSED}" "a pass over everybody's containers needs root" \
            "run 'ds01-lifecycle --dry-run' to see what comes"
    fi

    core::run_pre_hooks
    core::helper lifecycle "${words[@]}"
}
