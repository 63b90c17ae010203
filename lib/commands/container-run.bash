# shellcheck shell=bash
# container-run: make the container if it is missing, start it, open a shell or run a command in it.
: "${CORE_QUIET?set by lib}" "${CREATE_TAKEN?set by lib}" "${EXIT_NOT_FOUND:?}" "${EXIT_OK:?}"

main() {
    local words=() command=() engine_name
    while (($# > 0)); do
        case "$1" in
            -h | --help) core::help && exit "${EXIT_OK}" ;;
            --) shift && command=("$@") && break ;;
            -*)
                create::option "$@"
                ((CREATE_TAKEN > 0)) || core::unknown_option "$1"
                shift "${CREATE_TAKEN}"
                ;;
            *) words+=("$1") && shift ;;
        esac
    done
    ((${#words[@]} <= 3)) \
        || core::usage_error "unexpected word '${words[3]}' (a command to run comes after '--')"
    create::take_words "${words[@]}"
    # shellcheck disable=SC2034 # for create::set_line
    CREATE_COMMAND=("${command[@]}")

    [[ -n "${CREATE[name]}" ]] || container-run::_ask_name
    mlc::load
    engine_name="$(create::engine_name "${CREATE[name]}")"

    # The command's own output is the result, so all else that is said goes to stderr.
    container-run::_ensure "${engine_name}" >&2
    create::tell_line
    core::run_pre_hooks name "${CREATE[name]}"
    if ((${#command[@]} > 0)); then
        session::run "${CREATE[name]}" "${engine_name}" "${command[@]}"
    else
        session::open "${CREATE[name]}" "${engine_name}"
    fi
}

# Choose one of the user's containers, or what a new one should be.
container-run::_ask_name() {
    local items=() chosen='' key
    local -A given=()
    core::is_interactive || core::missing NAME
    choose::items items
    for key in "${!CREATE[@]}"; do
        given["${key}"]="${CREATE[${key}]}"
    done
    menu::walk container-run::_step_which container-run::_step_new || menu::left
    if [[ -n "${chosen}" && "${chosen}" != + ]]; then
        # What was answered for a new one, before the way back, is not meant.
        for key in "${!given[@]}"; do
            CREATE["${key}"]="${given[${key}]}"
        done
        CREATE[name]="${chosen}"
    fi
    mlc::load
    create::set_line
}

container-run::_step_which() {
    local answer
    ((${#items[@]} > 0)) || return 2
    answer="$(menu::select --default "${chosen}" "Run" "Which container?" "${items[@]}" \
        + "make a new container")" || return
    chosen="${answer}"
}

container-run::_step_new() {
    [[ -z "${chosen}" || "${chosen}" == + ]] || return 2
    create::walk
}

# Make the container unless it is there.
container-run::_ensure() { # <engine-name>
    local status=0
    mlc::container_json "${CREATE[name]}" > /dev/null 2>&1 || status=$?
    if ((status == EXIT_NOT_FOUND)) || container-run::_is_half_made "$1"; then
        create::ask_missing
        create::container
        [[ -n "${CORE_QUIET}" ]] || create::summary
        return
    fi
    # Any other failure (no engine, say) is told by asking again with the message shown.
    ((status == 0)) || mlc::container_json "${CREATE[name]}" > /dev/null || exit
    [[ -z "${CREATE[dry_run]}" ]] || exit "${EXIT_OK}"
    [[ -z "${CREATE[framework]}${CREATE[image]}${CREATE[gpus]}${CREATE[workspace]}${CREATE[data]}${CREATE[models]}${CREATE[gpu_mem]}${CREATE[arch]}" ]] \
        || core::warn "container '${CREATE[name]}' is there already; the options for making it are not used"
}

# Was this container left by a create that was interrupted?
container-run::_is_half_made() { # <engine-name>
    local phase
    core::member phase "$(core::helper state show "$1" 2> /dev/null || true)" phase
    [[ "${phase}" == creating ]]
}
