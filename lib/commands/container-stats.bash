# shellcheck shell=bash
# container-stats: what running containers use, against their limits.
: "${OPTIONS[help]?set by lib}"

main() {
    options::parse "$@"
    local words=(${OPTIONS[all_users]:+--all-users} ${OPTIONS[json]:+--json})
    [[ -z "${OPTIONS[watch]}" || -z "${OPTIONS[json]}" ]] \
        || core::usage_error "'--watch' and '--json' do not go together"

    core::run_pre_hooks
    if [[ -n "${OPTIONS[watch]}" ]]; then
        core::watch container_stats "${words[@]}"
    else
        core::helper container_stats "${words[@]}"
    fi
}
