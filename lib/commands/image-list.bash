# shellcheck shell=bash
# image-list: the user's images and the shared ones.
: "${EXIT_OK:?}"

main() {
    local flags=()
    while (($# > 0)); do
        case "$1" in
            -h | --help) core::help && exit "${EXIT_OK}" ;;
            -a | --all) flags+=(--all) && shift ;;
            --json) flags+=(--json) && shift ;;
            -*) core::unknown_option "$1" ;;
            *) core::usage_error "unexpected word '$1'" ;;
        esac
    done

    mlc::load
    core::run_pre_hooks
    core::helper images list "${flags[@]}"
}
