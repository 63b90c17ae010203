# shellcheck shell=bash
# ds01-docker: docker with the gateway between it and the engine. Docker's own options before its command are refused:
# '--host' would lead past the gateway.
: "${EXIT_OK:?}"

# What can be done without further words, offered where none is typed.
readonly DOCKER_OFFERS=('ps --all' "containers, those too that are stopped" images "images, and how large they are"
    'stats --no-stream' "what running containers use now" 'system df' "how much room all of it takes"
    help "docker's own words")

main() {
    local words=("$@")
    case "${1:-}" in
        -h | --help) core::help && exit "${EXIT_OK}" ;;
        -*) options::read_header && options::unknown "$1" ;;
        '')
            core::is_interactive || core::missing "COMMAND (such as 'ps')"
            menu::walk ds01-docker::_ask || menu::left
            ;;
        *) ;;
    esac

    mlc::load
    core::run_pre_hooks words "${words[*]}"
    core::tell_line
    docker::governed "${words[@]}"
}

ds01-docker::_ask() {
    local answer
    answer="$(menu::select "Docker under DS01's rules" "What do you want to see?" "${DOCKER_OFFERS[@]}")" || return
    read -ra words <<< "${answer}"
    core::answered "${words[@]}"
}
