# shellcheck shell=bash
# gpu-status: the table of all devices.
: "${EXIT_OK:?}"

main() {
    local words=() watch='' json=''
    while (($# > 0)); do
        case "$1" in
            -h | --help) core::help && exit "${EXIT_OK}" ;;
            -m | --mine) words+=(--mine) ;;
            --watch) watch=yes ;;
            --json) words+=(--json) && json=yes ;;
            -*) core::unknown_option "$1" ;;
            *) core::usage_error "unexpected word '$1'" ;;
        esac
        shift
    done
    [[ -z "${watch}" || -z "${json}" ]] || core::usage_error "'--watch' and '--json' do not go together"

    core::run_pre_hooks
    if [[ -n "${watch}" ]]; then
        core::watch gpu_status "${words[@]}"
    else
        core::helper gpu_status "${words[@]}"
    fi
}
