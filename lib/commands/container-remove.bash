# shellcheck shell=bash
# container-remove (also container-cleanup): remove the user's containers with mlc, after saying what will be lost.
: "${EXIT_BUG:?}" "${EXIT_REFUSED:?}" "${EXIT_USAGE:?}" "${MENU_BACK?set by lib}" "${OPTIONS[help]?set by lib}" \
    "${OPTIONS_WORDS?set by lib}"

main() {
    options::parse "$@"
    local names=("${OPTIONS_WORDS[@]}") name status worst=0

    choose::fill names "${OPTIONS[all]}" Remove '' container-remove::_confirm
    mlc::load

    core::tell_line
    core::run_pre_hooks names "${names[*]}"
    for name in "${names[@]}"; do
        status=0
        container-remove::_one "${name}" "${OPTIONS[force]}" || status=$?
        ((status == 0)) || worst="${status}"
    done
    exit "${worst}"
}

# A step of menu::walk: all names are checked before the first container goes, then comes the last word.
container-remove::_confirm() {
    local name
    local -A states=()
    choose::states states
    for name in "${names[@]}"; do
        # Where there is none of that name, this says so.
        [[ -n "${states["${name}"]:-}" ]] || mlc::container_json "${name}" > /dev/null || exit
        [[ -z "${OPTIONS[force]}" && "${states["${name}"]:-}" == @(running|paused|restarting) ]] || continue
        [[ "${MENU_BACK}" == Back ]] || core::die "${EXIT_REFUSED}" "container '${name}' is running" \
            "run 'container-stop ${name}' first, or add '--force'"
        menu::message Remove "Container '${name}' is running: stop it first, by 'container-stop ${name}'." || return
        return 1
    done
    [[ -z "${OPTIONS[yes]}" ]] || return 2
    core::is_interactive || core::die "${EXIT_USAGE}" "nobody can be asked whether to remove" \
        "add '--yes' to remove $(core::join ', ' "${names[@]}")"
    menu::confirm Remove "$(choose::these "${#names[@]}") will be removed, with everything installed or written inside:
$(printf '  %s\n' "${names[@]}")
The folders /workspace, /data and /models lie on the host and stay." || return
    core::answered --yes
}

container-remove::_one() ( # <name> <force>
    local json engine_name
    json="$(mlc::container_json "$1")" || exit
    engine_name="$(jq -r .container <<< "${json}")"
    mlc::act remove "$1" -s ${2:+-f} || true
    if mlc::container_json "$1" > /dev/null 2>&1; then
        core::die "${EXIT_BUG}" "container '$1' is still there" "look at the lines above for the reason"
    fi
    core::helper state removed "${engine_name}" > /dev/null || core::warn "the record of '$1' could not be closed"
    core::helper state event removed --json "$(jq -c '{container, name, workspace}' <<< "${json}")" > /dev/null \
        || core::warn "the removal is not in the event log"
    session::forget "${engine_name}"
    core::info "container '$1' is removed; the workspace '$(jq -r .workspace <<< "${json}")' stays"
)
