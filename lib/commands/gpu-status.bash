# shellcheck shell=bash
# gpu-status: the table of all devices.
: "${EXIT_NOT_FOUND:?}" "${OPTIONS[help]?set by lib}"

main() {
    options::parse "$@"
    local words=(${OPTIONS[mine]:+--mine} ${OPTIONS[json]:+--json})
    [[ -z "${OPTIONS[watch]}" || -z "${OPTIONS[json]}" ]] \
        || core::usage_error "'--watch' and '--json' do not go together"

    [[ -z "${OPTIONS[interactive]}" ]] || gpu-status::_pick

    core::run_pre_hooks
    if [[ -n "${OPTIONS[watch]}" ]]; then
        core::watch gpu_status "${words[@]}"
    else
        core::helper gpu_status "${words[@]}"
    fi
}

# Pick one of the devices: act on the container of the user's that has it, or ask for one of its kind.
gpu-status::_pick() {
    local json items=() index=''
    core::is_interactive || core::usage_error "nobody can be asked: '--interactive' needs a terminal"
    json="$(core::helper gpu_status --json)" || exit
    mapfile -t items < <(jq -r '.devices[] | (.index // .uuid), "\(.profile), \(.state)"
        + (.grant | if . == null then "" else ", \(.container | sub("[.]_[.].*"; "")) of \(.user)" end)' <<< "${json}")
    ((${#items[@]} > 0)) || core::die "${EXIT_NOT_FOUND}" "this server has no GPU to choose" "run 'ds01-doctor' to see why"
    menu::walk gpu-status::_pick_row gpu-status::_act || menu::left
}

gpu-status::_pick_row() {
    local answer
    answer="$(menu::select --default "${index}" GPUs "Which device?" "${items[@]}")" || return
    index="${answer}"
}

gpu-status::_act() {
    local device name container offers verbs=()
    device="$(jq -c --arg index "${index}" '.devices[] | select((.index // .uuid) == $index)' <<< "${json}")"
    name="$(jq -r --argjson uid "${UID}" '.grant | select(. != null and .uid == $uid) | .container' <<< "${device}")"
    name="${name%._.*}"
    if [[ -n "${name}" ]] && container="$(mlc::container_json "${name}")"; then
        choose::verbs verbs "${container}"
        choose::act GPUs "${name}" "${verbs[@]}"
        return
    fi
    name="$(jq -r .profile <<< "${device}")"
    verbs=("gpu-explain --request" "tell what you would get, or why not")
    # Only of a kind that the policy lets this user have.
    offers="$(core::helper gpu_offers)" || exit
    ! jq -e --arg kind "${name}" 'any(.offers[]; .request == $kind)' <<< "${offers}" > /dev/null \
        || verbs+=("container-create --gpus" "make a container with one")
    choose::act --about "a GPU of the kind '${name}'" GPUs "${name}" "${verbs[@]}"
}
