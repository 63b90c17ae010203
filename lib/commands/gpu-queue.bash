# shellcheck shell=bash
# gpu-queue: who waits, and leaving the queue.
: "${EXIT_OK:?}"

main() {
    local words=() flags=()
    while (($# > 0)); do
        case "$1" in
            -h | --help) core::help && exit "${EXIT_OK}" ;;
            -m | --mine) flags+=(--mine) && shift ;;
            --json) flags+=(--json) && shift ;;
            --) shift && words+=("$@") && break ;;
            -*) core::unknown_option "$1" ;;
            *) words+=("$1") && shift ;;
        esac
    done
    if ((${#words[@]} == 0)); then
        core::run_pre_hooks
        core::helper gpu_show queue "${flags[@]}"
        return
    fi
    [[ "${words[0]}" == cancel ]] || core::usage_error "unexpected word '${words[0]}'"
    ((${#words[@]} > 1)) || core::missing NAME
    ((${#words[@]} == 2)) || core::usage_error "unexpected word '${words[2]}'"

    core::run_pre_hooks name "${words[1]}"
    core::helper gpu_show cancel --container "$(create::engine_name "${words[1]}")" > /dev/null || exit
    core::info "your request for '${words[1]}' is out of the queue"
}
