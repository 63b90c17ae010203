# shellcheck shell=bash
# container-start: start the user's containers with mlc and see with the engine that they run.
# shellcheck disable=SC2154 # the keys of CREATE are no variables
: "${CREATE[name]?set by lib}" "${OPTIONS[help]?set by lib}" "${OPTIONS_WORDS?set by lib}"

main() {
    options::parse "$@"
    local names=("${OPTIONS_WORDS[@]}") name status=0 worst=0
    create::take_options

    choose::fill names "${OPTIONS[all]}" Start stopped
    mlc::load

    # Checked before the first container starts.
    create::ask_gpus
    CREATE[start_request]="${CREATE[gpu_request]}"
    core::tell_line
    core::run_pre_hooks names "${names[*]}"
    for name in "${names[@]}"; do
        status=0
        container-start::_one "${name}" || status=$?
        ((status == 0)) || worst="${status}"
    done
    exit "${worst}"
}

container-start::_one() ( # <name>
    session::start "$1" "$(create::engine_name "$1")"
    if core::is_true "${SESSION_JSON}" running; then
        core::info "container '$1' is running already"
    else
        core::info "container '$1' is running"
    fi
)
