# shellcheck shell=bash
# ds01-doctor: all checks of this server. It runs no hooks: they are among what may be broken.
: "${OPTIONS_GIVEN?set by lib}"

main() {
    options::parse "$@"
    core::helper doctor "${OPTIONS_GIVEN[@]}"
}
