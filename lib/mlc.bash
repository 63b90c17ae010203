# shellcheck shell=bash
# Which mlc is used, the overlay folder from which it is started, and all calls to it. mlc stays unmodified: only its
# public words, names and labels are relied on (aime-ml-containers/README.md), and what it did is read from the engine.
# shellcheck disable=SC2034 # the folders are for create.bash and session.bash
: "${PROJECT_ROOT:?set by lib/run-command}" "${CORE_HOLD:?}" "${EXIT_BUG:?}" "${EXIT_PREREQUISITE:?}"

# Set by mlc::load.
MLC_HOME='' MLC_IS_OURS='' MLC_STATE_DIR='' MLC_WORKSPACE_DIR='' MLC_DATA_DIR='' MLC_MODELS_DIR=''
# What mlc is started by, also set by mlc::load: CORE_HOLD for ours, of which AIME's knows nothing.
MLC_BEFORE=()

# Read the settings once and point docker at the engine; the JSON is for who has read them. Sets the MLC_* globals and
# exports DOCKER_HOST.
mlc::load() { # [<settings-json>]
    local json="${1:-}"
    [[ -z "${MLC_HOME}" ]] || return 0
    [[ -n "${json}" ]] || json="$(core::helper settings show)" || exit
    core::member MLC_HOME "${json}" mlc_home
    core::member MLC_IS_OURS "${json}" mlc_is_ours
    core::member DOCKER_HOST "${json}" engine
    export DOCKER_HOST
    core::member MLC_STATE_DIR "${json}" state_dir
    core::member MLC_WORKSPACE_DIR "${json}" workspace_dir
    [[ -n "${MLC_WORKSPACE_DIR}" ]] || MLC_WORKSPACE_DIR="${HOME}/workspace"
    core::member MLC_DATA_DIR "${json}" data_dir
    core::member MLC_MODELS_DIR "${json}" models_dir
    docker::require
    if [[ "${MLC_IS_OURS}" == true ]]; then
        MLC_BEFORE=("${CORE_HOLD[@]}")
    else
        mlc::_check_foreign
    fi
}

# AIME's own mlc asks for the login name of the terminal as soon as it is loaded and fails where there is none.
mlc::_check_foreign() {
    [[ -r "${MLC_HOME}/mlc.py" ]] \
        || core::die "${EXIT_PREREQUISITE}" "there is no 'mlc.py' in '${MLC_HOME}'" \
            "set 'mlc_home' in ds01.yaml to a checkout of AIME's mlc, or to null for the embedded one"
    python3 "${MLC_HOME}/mlc.py" -v > /dev/null 2>&1 && return 0
    if ! logname > /dev/null 2>&1; then
        core::die "${EXIT_PREREQUISITE}" "the mlc in '${MLC_HOME}' needs a login terminal, and there is none here" \
            "log in with 'ssh -t', or set 'mlc_home: null' in ds01.yaml for the embedded mlc, which needs none"
    fi
    core::die "${EXIT_PREREQUISITE}" "the mlc in '${MLC_HOME}' does not start" \
        "run '$(core::print_words python3 "${MLC_HOME}/mlc.py" -v)' to see why"
}

# Run a command of mlc's whose result is read from the engine. Ours ends with a line that names the next mlc command, of
# no use to people who type ours; AIME's also shows its progress there.
mlc::_quietly() { # <word>...
    if [[ "${MLC_IS_OURS}" == true ]]; then
        "$@" > /dev/null
    else
        "$@" >&2
    fi
}

# Have mlc do something, as mlc::run; what it says on stdout is not a result.
mlc::act() { # <verb> [<word>...]
    mlc::_quietly mlc::run "$@"
}

# Run mlc with words, from its own folder.
mlc::run() { # <verb> [<word>...]
    "${MLC_BEFORE[@]}" python3 "${MLC_HOME}/mlc.py" "$@"
}

# Run the embedded mlc, for what AIME's cannot do.
mlc::run_ours() { # <verb> [<word>...]
    "${CORE_HOLD[@]}" python3 "${PROJECT_ROOT}/aime-ml-containers/mlc.py" "$@"
}

# Print the name that an exported container had. It is not checked against the file's checksum.
mlc::exported_name() { # <file>
    tar --extract --to-stdout --occurrence=1 --file "$1" metadata.json 2> /dev/null | jq -er .name
}

# Have mlc make a container, with the gateway between it and the engine. A refusal is written to the file, what our mlc
# says of its failure is held back in FILE.mlc, and what the engine made is in FILE.made.
mlc::make() { # <report-file> <name> <yes to have a summary too, or empty> <image, or empty> <word of mlc>...
    MLC_FAILURE="$1.mlc" mlc::_quietly core::helper container_create make "$2" --report "$1" --made "$1.made" \
        ${3:+--summary} ${4:+--image "$4"} -- "${MLC_BEFORE[@]}" "${@:5}"
}

# Say what was held back, unless the refusal says it.
mlc::tell_failure() { # <report-file>
    [[ -s "$1" || ! -s "$1.mlc" ]] || cat -- "$1.mlc" >&2
}

# Print what the engine knows of one of the user's containers, as JSON. Returns: 3 where there is none.
mlc::container_json() { # <name>
    core::helper containers show "$1"
}

# Start a container with mlc and see with the engine that it runs, which is in the log then. AIME's 2.2.0 fails with an internal error when no
# command is given, and its failures may exit 0; then docker starts it.
mlc::start() { # <name> <engine-name>
    local json words
    words="$(mlc::run start "$1" -s 2>&1 < /dev/null)" || true
    json="$(core::helper container_session started "$1")" || exit
    ! core::is_true "${json}" running || return 0
    docker::start "$2" || {
        [[ -z "${words}" ]] || printf '%s\n' "${words}" >&2
        core::die "${EXIT_BUG}" "container '$1' does not start" "run 'container-why $1' to see what happened"
    }
    core::helper container_session started "$1" > /dev/null || exit
}
