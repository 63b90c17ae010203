# shellcheck shell=bash
# container-run: make the container if it is missing, start it, open a shell or run a command in it.
# shellcheck disable=SC2154 # the keys of CREATE are no variables
: "${COMMAND_NAME:?}" "${CORE_GIVEN?set by lib}" "${CORE_QUIET?set by lib}" "${EXIT_NOT_FOUND:?}" "${EXIT_OK:?}" \
    "${EXIT_USAGE:?}" "${OPTIONS_COMMAND?set by lib}" "${OPTIONS_REFUSE?set by lib}" "${OPTIONS_WORDS?set by lib}" \
    "${OPTIONS_WORD_AT?set by lib}"

main() {
    local engine_name
    OPTIONS_REFUSE=container-run::_no_dashes
    options::parse "$@"
    create::take_options
    create::take_words "${OPTIONS_WORDS[@]}"
    ((${#OPTIONS_COMMAND[@]} > 0)) || CREATE[otherwise]="run '$(container-run::_with_dashes)'"
    # shellcheck disable=SC2034 # for create::set_line
    CREATE_COMMAND=("${OPTIONS_COMMAND[@]}")

    [[ -n "${CREATE[name]}" ]] || container-run::_ask_name
    engine_name="$(create::engine_name "${CREATE[name]}")"

    # The command's own output is the result, so all else that is said goes to stderr.
    container-run::_ensure >&2
    create::tell_line
    core::run_pre_hooks name "${CREATE[name]}"
    if ((${#OPTIONS_COMMAND[@]} > 0)); then
        session::run "${CREATE[name]}" "${engine_name}" "${OPTIONS_COMMAND[@]}"
    else
        session::open "${CREATE[name]}" "${engine_name}"
    fi
}

# The line as it was typed, with all after the name as a command. Prints: it.
container-run::_with_dashes() {
    core::print_words "${COMMAND_NAME}" "${CORE_GIVEN[@]:0:OPTIONS_WORD_AT}" -- "${CORE_GIVEN[@]:OPTIONS_WORD_AT}"
}

# Leave because of a word or an option that, behind a name and a framework, was most likely meant for a command.
container-run::_no_dashes() { # <text>
    local text="$1 (a command to run comes after '--')"
    ((${#OPTIONS_WORDS[@]} >= 2)) || core::usage_error "$1"
    [[ " ${CORE_GIVEN[*]} " != *' -- '* ]] || core::usage_error "${text}"
    core::die "${EXIT_USAGE}" "${text}" "run '$(container-run::_with_dashes)'"
}

# A framework is of no use for a container that is there; a word that is none was meant as a command.
container-run::_check_framework() { # <container-json>
    local framework json
    [[ -n "${CREATE[framework]}" && -n "${CREATE[otherwise]}" ]] || return 0
    core::member framework "$1" framework
    [[ "${framework,,}" != "${CREATE[framework],,}"-* ]] || return 0
    json="$(core::helper catalog meant -- "${CREATE[framework]}")" || exit
    core::member framework "${json}" framework
    [[ -n "${framework}" ]] || core::die "${EXIT_USAGE}" \
        "container '${CREATE[name]}' is there already, and '${CREATE[framework]}' is no framework" "${CREATE[otherwise]}"
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
container-run::_ensure() {
    create::plan --or-existing
    if core::is_true "${CREATE_PLAN}" lacks_image; then
        if container-run::_meant_another; then
            CREATE_PLAN=''
            create::plan --or-existing
        else
            create::ask_missing
        fi
    fi
    if ! core::is_true "${CREATE_PLAN}" exists; then
        create::container
        [[ -n "${CORE_QUIET}" ]] || create::summary
        trap - INT
        return
    fi
    container-run::_check_framework "${CREATE_PLAN}"
    [[ -z "${CREATE[dry_run]}" ]] || exit "${EXIT_OK}"
    [[ -z "${CREATE[framework]}${CREATE[image]}${CREATE[gpus]}${CREATE[workspace]}${CREATE[data]}${CREATE[models]}${CREATE[gpu_mem]}${CREATE[arch]}" ]] \
        || core::warn "container '${CREATE[name]}' is there already; the options for making it are not used"
}

# Nothing says what a new container should be, and its name is nearly that of one that is there: a person is asked which
# is meant, a script is told. Sets, if it is the one that is there: CREATE[name], engine_name of main. Returns: 1 if not.
container-run::_meant_another() {
    local names=() near answer
    choose::names names
    near="$(nearest::word "${CREATE[name]}" "${names[@]}")"
    # The next of run1, run2 is no slip.
    [[ -n "${near}" && "${near//[0-9]/}" != "${CREATE[name]//[0-9]/}" ]] || return 1
    core::is_interactive || core::die "${EXIT_USAGE}" "missing FRAMEWORK (or '--image') for a new container '${CREATE[name]}'" \
        "did you mean your container '${near}'?"
    answer="$(menu::select Run "You have no container '${CREATE[name]}'. Which do you mean?" \
        "${near}" "the container that you have" + "a new container '${CREATE[name]}'")" || menu::left
    [[ "${answer}" != + ]] || return 1
    CREATE[name]="${near}"
    engine_name="$(create::engine_name "${near}")"
    create::set_line
}
