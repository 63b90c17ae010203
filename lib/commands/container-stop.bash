# shellcheck shell=bash
# container-stop: stop the user's containers with mlc and see with the engine that they did.
: "${EXIT_BUG:?}" "${OPTIONS[help]?set by lib}" "${OPTIONS_WORDS?set by lib}"

main() {
    options::parse "$@"
    local names=("${OPTIONS_WORDS[@]}") name status worst=0

    choose::fill names "${OPTIONS[all]}" Stop running container-stop::_confirm
    mlc::load

    core::tell_line
    core::run_pre_hooks names "${names[*]}"
    for name in "${names[@]}"; do
        status=0
        container-stop::_one "${name}" "${OPTIONS[force]}" || status=$?
        ((status == 0)) || worst="${status}"
    done
    exit "${worst}"
}

# A step of menu::walk: the last word, where a person can be asked and there is anything to stop.
container-stop::_confirm() {
    local name live=()
    local -A states=()
    [[ -z "${OPTIONS[yes]}" ]] && core::is_interactive || return 2
    choose::states states
    for name in "${names[@]}"; do
        [[ "${states["${name}"]:-}" != @(running|paused|restarting) ]] || live+=("${name}")
    done
    ((${#live[@]} > 0)) || return 2
    menu::confirm Stop "$(choose::these "${#live[@]}") will be stopped. What runs inside ends; files stay:
$(printf '  %s\n' "${live[@]}")" || return
    core::answered --yes
}

container-stop::_one() ( # <name> <force>
    local json
    json="$(mlc::container_json "$1")" || exit
    if [[ "$(jq -r .running <<< "${json}")" != true ]]; then
        core::info "container '$1' is not running"
        exit 0
    fi
    if [[ -n "$2" ]]; then
        docker::stop_now "$(jq -r .container <<< "${json}")" || true
    else
        mlc::act stop "$1" -s || true
    fi
    json="$(mlc::container_json "$1")" || exit
    [[ "$(jq -r .running <<< "${json}")" != true ]] \
        || core::die "${EXIT_BUG}" "container '$1' is still running" "run 'container-stop --force $1'"
    core::helper state event stopped --json "$(jq -c '{container, name}' <<< "${json}")" > /dev/null \
        || core::warn "the stop is not in the event log"
    core::info "container '$1' is stopped"
)
