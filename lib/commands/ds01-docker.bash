# shellcheck shell=bash
# ds01-docker: docker with the gateway between it and the engine. Docker's own options before its command are refused:
# '--host' would lead past the gateway.
: "${EXIT_OK:?}"

main() {
    case "${1:-}" in
        -h | --help) core::help && exit "${EXIT_OK}" ;;
        -*) core::unknown_option "$1" ;;
        '') core::missing "COMMAND (such as 'ps')" ;;
        *) ;;
    esac

    mlc::load
    core::run_pre_hooks words "$*"
    docker::governed "$@"
}
