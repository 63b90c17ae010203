# shellcheck shell=bash
# gpu-queue: who waits, and leaving the queue.
: "${OPTIONS_GIVEN?set by lib}" "${OPTIONS_WORDS?set by lib}"

main() {
    options::parse "$@"
    local words=("${OPTIONS_WORDS[@]}")
    if ((${#words[@]} == 0)); then
        core::run_pre_hooks
        core::helper gpu_show queue "${OPTIONS_GIVEN[@]}"
        return
    fi
    [[ "${words[0]}" == cancel ]] || core::usage_error "unexpected word '${words[0]}'"
    ((${#words[@]} > 1)) || core::missing NAME
    ((${#words[@]} == 2)) || core::usage_error "unexpected word '${words[2]}'"

    core::run_pre_hooks name "${words[1]}"
    core::helper gpu_show cancel --container "$(create::engine_name "${words[1]}")" > /dev/null || exit
    core::info "your request for '${words[1]}' is out of the queue"
}
