# shellcheck shell=bash
# container-stats: what running containers use, against their limits.
: "${EXIT_OK:?}"

main() {
    local words=() watch='' json='' text
    while (($# > 0)); do
        case "$1" in
            -h | --help) core::help && exit "${EXIT_OK}" ;;
            -au | --all-users | --all_users) words+=(--all-users) ;;
            --json) words+=(--json) && json=yes ;;
            --watch) watch=yes ;;
            -*) core::unknown_option "$1" ;;
            *) core::usage_error "unexpected word '$1'" ;;
        esac
        shift
    done
    [[ -z "${watch}" || -z "${json}" ]] || core::usage_error "'--watch' and '--json' do not go together"

    core::run_pre_hooks
    if [[ -z "${watch}" ]]; then
        core::helper container_stats "${words[@]}"
        return
    fi
    trap 'exit 130' INT
    while true; do
        text="$(core::helper container_stats "${words[@]}")" || exit
        # Home the cursor and clear what is below, only where there is a screen.
        [[ ! -t 1 ]] || printf '\e[H\e[J'
        printf '%s\n' "${text}"
        sleep 2
    done
}
