# shellcheck shell=bash
# ds01-events: the event log.
: "${OPTIONS_GIVEN?set by lib}"

main() {
    options::parse "$@"

    core::run_pre_hooks
    core::become_helper events_show "${OPTIONS_GIVEN[@]}"
}
