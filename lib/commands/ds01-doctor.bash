# shellcheck shell=bash
# ds01-doctor: all checks of this server. It runs no hooks: they are among what may be broken.
: "${EXIT_OK:?}"

main() {
    local words=()
    while (($# > 0)); do
        case "$1" in
            -h | --help) core::help && exit "${EXIT_OK}" ;;
            --json) words+=(--json) ;;
            -*) core::unknown_option "$1" ;;
            *) core::usage_error "unexpected word '$1'" ;;
        esac
        shift
    done

    core::helper doctor "${words[@]}"
}
