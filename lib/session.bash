# shellcheck shell=bash
# A person's or a job's stay inside a container. While one lasts it holds a shared lock on the container; who is last
# out stops the container if nothing else runs in it, as 'mlc open' does.
: "${PROJECT_ROOT:?set by lib/run-command}" "${DOCKER_WORDS?set by lib}" "${CREATE[name]?set by lib}" "${EXIT_BUG:?}" "${EXIT_CONFIG:?}" \
    "${CREATE_MADE?set by lib}" "${MLC_STATE_DIR?set by lib}"

SESSION_LOCK=''
SESSION_CONTAINER=''
SESSION_PID_FILE=''
SESSION_CHILD=''
# The container as it was found, as JSON; set once mlc has had it open.
SESSION_JSON='' SESSION_OPENED=''

# Take part in the use of a container; waits while another session is just stopping it.
session::_enter() { # <engine-name>
    local folder="${MLC_STATE_DIR}/sessions"
    [[ -d "${folder}" ]] || (umask 002 && mkdir -p -- "${folder}") \
        || core::die "${EXIT_CONFIG}" "the folder '${folder}' cannot be made" "run install.sh again as root"
    SESSION_CONTAINER="$1"
    { exec {SESSION_LOCK}>> "${folder}/$1.lock"; } 2> /dev/null \
        || core::die "${EXIT_CONFIG}" "the lock '${folder}/$1.lock' cannot be opened" \
            "ask the administrator to check the rights of '${folder}'"
    flock --shared --timeout 60 "${SESSION_LOCK}" \
        || core::die "${EXIT_BUG}" "container '$1' is still being stopped by another session" "try again"
}

# Leave; the last one out stops the container if only its idle shell is left in it.
session::_leave() {
    local words=() json=''
    [[ -n "${SESSION_LOCK}" ]] || return 0
    flock --unlock "${SESSION_LOCK}"
    flock --exclusive --nonblock "${SESSION_LOCK}" || words=(--not-last)
    if [[ ${#words[@]} -eq 0 || -n "${SESSION_OPENED}" ]]; then
        json="$(core::helper container_session leave "${SESSION_CONTAINER}" "${words[@]}" \
            ${SESSION_OPENED:+--was-open})" || true
    fi
    # What lies in its shared memory ends with a container.
    [[ -z "${SESSION_PID_FILE}" ]] || core::is_true "${json}" stopped \
        || docker::remove_inside "${SESSION_CONTAINER}" "${SESSION_PID_FILE}"
    exec {SESSION_LOCK}>&-
    SESSION_LOCK=''
}

# Drop the lock of a container that is gone.
session::forget() { # <engine-name>
    rm -f -- "${MLC_STATE_DIR}/sessions/$1.lock" "${MLC_STATE_DIR}/sessions/$1.move.lock"
}

# Start a container if it is not running; a stopped one with GPUs gets them again first. What is known of one that was
# just made need not be asked again. Sets: SESSION_JSON, the container as it was before.
session::start() { # <name> <engine-name> [<container-json>]
    SESSION_JSON="${3:-}"
    if [[ "${SESSION_JSON}" != *'"devices":[]'* ]]; then
        # Who leaves the queue gets a status, and is not killed: what called us goes on.
        trap 'exit 130' INT
        SESSION_JSON="$(core::helper container_session prepare "$1" --owner-pid "$$" \
            ${CREATE[waits]:+--wait "${CREATE[wait]}"} ${CREATE[start_request]:+--request "${CREATE[start_request]}"})" \
            || exit
        trap - INT
    fi
    core::is_true "${SESSION_JSON}" running || mlc::start "$1" "$2"
}

# Open a shell in a container with mlc and return the shell's status.
session::open() { # <name> <engine-name>
    local status=0
    session::_enter "$2"
    core::on_exit session::_leave
    session::start "$1" "$2" "${CREATE_MADE}"
    # Only for a person: scripts come in here with their words on stdin.
    [[ ! -t 0 || ! -t 2 || -n "${CORE_QUIET}" ]] || core::helper container_greeting "$1" >&2 || true
    mlc::run open "$1" -s || status=$?
    # mlc has stopped the container itself, if nothing else ran in it. A shell that was killed went with the container:
    # who stopped that tells it.
    ((status == 137)) || SESSION_OPENED=yes
    exit "${status}"
}

# Run a command in a container and return its status; stdin, stdout and stderr are the command's.
session::run() { # <name> <engine-name> <word>...
    local name="$1" status=0 last
    shift
    session::_enter "$1"
    core::on_exit session::_leave
    session::start "${name}" "$1" "${CREATE_MADE}" >&2
    if [[ -t 0 && -t 1 ]]; then
        docker::exec_words "$1" yes "${@:2}"
        "${DOCKER_WORDS[@]}" || status=$?
        exit "${status}"
    fi
    # Without a terminal docker passes no signal on, and the process inside would outlive us. So it leaves its number in
    # a file inside, and our signals are sent on to it.
    SESSION_PID_FILE="/dev/shm/.ds01-run-$$-${RANDOM}"
    # The shared memory of a container that is not ours may be the host's.
    core::is_true "${SESSION_JSON}" managed || SESSION_PID_FILE="/tmp/${SESSION_PID_FILE##*/}"
    # shellcheck disable=SC2016 # expanded by the shell inside
    docker::exec_words "$1" no sh -c 'echo "$$" > "$1" && shift && exec "$@"' container-run "${SESSION_PID_FILE}" "${@:2}"
    trap 'session::_pass_on INT' INT
    trap 'session::_pass_on TERM' TERM
    trap 'session::_pass_on HUP' HUP
    "${DOCKER_WORDS[@]}" <&0 &
    SESSION_CHILD=$!
    # A trapped signal ends `wait` early; the process is asked again until it has really ended.
    while true; do
        status=0
        wait "${SESSION_CHILD}" || status=$?
        kill -0 "${SESSION_CHILD}" 2> /dev/null || break
    done
    # It may have ended while the trap ran: then bash still has its status, and 127 for one that was given out already.
    if ((status > 128)); then
        last=0
        wait "${SESSION_CHILD}" 2> /dev/null || last=$?
        ((last == 127)) || status="${last}"
    fi
    trap '' INT TERM HUP
    # Where docker itself was ended (its reader went away, say), the command inside would go on for ever.
    ((status < 128)) || docker::end_inside "$1" "${SESSION_PID_FILE}"
    if [[ "${SESSION_PID_FILE}" == /tmp/* ]]; then
        docker::remove_inside "$1" "${SESSION_PID_FILE}"
        SESSION_PID_FILE=''
    fi
    exit "${status}"
}

# Send a signal on to the command inside.
session::_pass_on() { # <signal>
    docker::signal_inside "${SESSION_CONTAINER}" "$1" "${SESSION_PID_FILE}" || true
}
