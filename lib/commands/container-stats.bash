# shellcheck shell=bash
# container-stats: what running containers use, against their limits.
: "${EXIT_OK:?}"

main() {
    local words=() watch='' json=''
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
    if [[ -n "${watch}" ]]; then
        core::watch container_stats "${words[@]}"
    else
        core::helper container_stats "${words[@]}"
    fi
}
