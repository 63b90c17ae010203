# shellcheck shell=bash
# container-list: what mlc's list shows, joined with limits, GPUs and age.
# It reads mlc's labels from the engine, as mlc itself does: mlc's own list is text for people, and AIME's crashes on
# labels of others.
: "${OPTIONS[help]?set by lib}" "${OPTIONS_GIVEN?set by lib}"

main() {
    local words=(list) option
    options::parse "$@"
    for option in "${OPTIONS_GIVEN[@]}"; do
        case "${option}" in
            --all) words+=(--column={user,arch,workspace,data,models,size}) ;;
            --all-users) words+=(--all-users --column=user) ;;
            --architecture) words+=(--column=arch) ;;
            --workspace | --data | --models | --size) words+=("--column=${option#--}") ;;
            --json) words+=(--json) ;;
            *) ;;
        esac
    done

    [[ -z "${OPTIONS[interactive]}" ]] || container-list::_pick
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
