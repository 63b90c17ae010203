# shellcheck shell=bash
# ds01-lifecycle: one pass over all containers; cron runs it every minute.
: "${EXIT_REFUSED:?}" "${OPTIONS[help]?set by lib}" "${OPTIONS_GIVEN?set by lib}" \
    "${PROJECT_ROOT:?set by lib/run-command}"

main() {
    options::parse "$@"
    # An installation of one user's own has a state of its own.
    if [[ -z "${OPTIONS[dry_run]}" ]] && ((EUID != 0)) && [[ -z "${DS01_ROOT:-}" && ! -e "${PROJECT_ROOT}/paths.json" ]]; then
        core::die "${EXIT_REFUSED}" "a pass over everybody's containers needs root" \
            "run 'ds01-lifecycle --dry-run' to see what comes"
    fi

    core::run_pre_hooks
    core::helper lifecycle "${OPTIONS_GIVEN[@]}"
}
