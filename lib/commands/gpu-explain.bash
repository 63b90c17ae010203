# shellcheck shell=bash
# gpu-explain: why a container got what it got, or what a request would get now.
: "${EXIT_NOT_FOUND:?}" "${OPTIONS[help]?set by lib}" "${OPTIONS_WORDS?set by lib}"

main() {
    options::parse "$@"
    local words=("${OPTIONS_WORDS[@]}") request="${OPTIONS[request]}"
    [[ ${#words[@]} -eq 0 || -z "${request}" ]] || core::usage_error "give a container or '--request', not both"
    if ((${#words[@]} == 0)) && [[ -z "${request}" ]]; then
        core::is_interactive || core::missing "CONTAINER (or '--request')"
        gpu-explain::_ask
    fi

    core::tell_line
    core::run_pre_hooks name "${words[0]:-}" request "${request}"
    if [[ -n "${request}" ]]; then
        core::helper gpu_show explain --request "${request}" ${OPTIONS[json]:+--json}
    else
        core::helper gpu_show explain --container "$(create::engine_name "${words[0]}")" ${OPTIONS[json]:+--json}
    fi
}

# Ask for one of the user's containers that has GPUs or waits for some. Sets: words of main.
gpu-explain::_ask() {
    local json items=()
    json="$(core::helper gpu_show offer)" || exit
    mapfile -t items < <(jq -r '.containers[] | .name, .text' <<< "${json}")
    ((${#items[@]} > 0)) || core::die "${EXIT_NOT_FOUND}" "no container of yours has a GPU or waits for one" \
        "run 'gpu-explain --request 1' to see what you would get"
    words[0]="$(menu::select Explain 'Which container?' "${items[@]}")" || menu::left
    core::answered "${words[0]}"
}
