# shellcheck shell=bash
# check-limits: a person's use against each limit, as bars.
: "${OPTIONS_GIVEN?set by lib}" "${OPTIONS_WORDS?set by lib}"

main() {
    options::parse "$@"

    core::run_pre_hooks
    core::helper limits_usage "${OPTIONS_GIVEN[@]}" ${OPTIONS_WORDS[0]:+"${OPTIONS_WORDS[0]}"}
}
