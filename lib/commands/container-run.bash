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

    mlc::load
    [[ -n "${CREATE[name]}" ]] || container-run::_ask_name
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

# Choose one of the user's containers, or a name for a new one.
container-run::_ask_name() {
    local choice status=0 items=()
    core::is_interactive || core::missing NAME
    choose::items items
    ((${#items[@]} == 0)) || items+=("NEW" "make a new container")
    if ((${#items[@]} > 0)); then
        choice="$(menu::select "Run" "Which container?" "${items[@]}")" || status=$?
        ((status == 0)) || menu::left
        if [[ "${choice}" != NEW ]]; then
            CREATE[name]="${choice}"
            create::set_line
        fi
    fi
    [[ -n "${CREATE[name]}" ]] || create::ask_all
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
    [[ "$(core::helper state show "$1" 2> /dev/null | jq -r '.phase // ""' || true)" == creating ]]
}
