# shellcheck shell=bash
# container-list: what mlc's list shows, joined with limits, GPUs and age.
# It reads mlc's labels from the engine, as mlc itself does: mlc's own list is text for people, and AIME's crashes on
# labels of others.
: "${EXIT_OK:?}"

main() {
    local words=(list) asks=''
    while (($# > 0)); do
        case "$1" in
            -h | --help) core::help && exit "${EXIT_OK}" ;;
            -a | --all)
                words+=(--column user --column arch --column workspace --column data --column models --column size)
                ;;
            -au | --all-users | --all_users) words+=(--all-users --column user) ;;
            -arch | --architecture) words+=(--column arch) ;;
            -w | --workspace) words+=(--column workspace) ;;
            -d | --data) words+=(--column data) ;;
            -m | --models) words+=(--column models) ;;
            -s | --size) words+=(--column size) ;;
            -i | --interactive) asks=yes ;;
            --json) words+=(--json) ;;
            -*) core::unknown_option "$1" ;;
            *) core::usage_error "unexpected word '$1'" ;;
        esac
        shift
    done

    [[ -z "${asks}" ]] || container-list::_pick
    core::run_pre_hooks
    core::helper containers "${words[@]}"
}

# Pick one of the containers and act on it.
container-list::_pick() {
    local name=''
    core::is_interactive || core::usage_error "nobody can be asked: '--interactive' needs a terminal"
    menu::walk container-list::_pick_row container-list::_act || menu::left
}

container-list::_pick_row() {
    choose::step name Containers
}

container-list::_act() {
    local json verbs=()
    json="$(mlc::container_json "${name}")" || exit
    choose::verbs verbs "${json}"
    choose::act Containers "${name}" "${verbs[@]}"
}
