# shellcheck shell=bash
# A person's or a job's stay inside a container. While one lasts it holds a shared lock on the container; who is last
# out stops the container if nothing else runs in it, as 'mlc open' does.
: "${PROJECT_ROOT:?set by lib/run-command}" "${DOCKER_WORDS?set by lib}" "${CREATE[name]?set by lib}" "${EXIT_BUG:?}" "${EXIT_CONFIG:?}" \
    "${MLC_STARTED?set by lib}" "${MLC_STATE_DIR?set by lib}"

SESSION_LOCK=''
SESSION_CONTAINER=''
SESSION_PID_FILE=''
SESSION_CHILD=''

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
    [[ -n "${SESSION_LOCK}" ]] || return 0
    flock --unlock "${SESSION_LOCK}"
    if flock --exclusive --nonblock "${SESSION_LOCK}"; then
        if core::helper containers is-idle "${SESSION_CONTAINER}" 2> /dev/null; then
            if docker::stop_now "${SESSION_CONTAINER}"; then
                session::_note_end "${SESSION_CONTAINER}"
            else
                core::warn "container '${SESSION_CONTAINER}' was not stopped"
            fi
        fi
    fi
    exec {SESSION_LOCK}>&-
    SESSION_LOCK=''
}

# Drop the lock of a container that is gone.
session::forget() { # <engine-name>
    rm -f -- "${MLC_STATE_DIR}/sessions/$1.lock" "${MLC_STATE_DIR}/sessions/$1.move.lock"
}

# Start a container if it is not running.
session::start() { # <name> <engine-name>
    local json
    json="$(mlc::container_json "$1")" || exit
    core::is_true "${json}" running || session::begin "$1" "$2" "${json}"
}

# Start a stopped container; one with GPUs gets them again first.
session::begin() { # <name> <engine-name> <container-json>
    if [[ -n "${CREATE[start_request]}" || "$3" != *'"devices":[]'* ]]; then
        core::helper gpu_start "$2" --owner-pid "$$" ${CREATE[waits]:+--wait "${CREATE[wait]}"} \
            ${CREATE[start_request]:+--request "${CREATE[start_request]}"} > /dev/null || exit
    fi
    mlc::start "$1" "$2"
    session::_note started --json "${MLC_STARTED}" \
        --pick 'container name id image framework gpus=devices kinds=gpus limits=applied'
}

# Note that a container was stopped because the last session in it ended.
session::_note_end() { # <engine-name>
    session::_note stopped --set container "$1" --set name "${1%._.*}" --set reason last-session-ended
}

# Write what was done into the event log; a log that cannot be written stops nothing.
session::_note() { # <type> <word>...
    core::helper state event "$@" > /dev/null || core::warn "'$1' is not in the event log"
}

# Open a shell in a container with mlc and return the shell's status.
session::open() { # <name> <engine-name>
    local status=0 running
    session::_enter "$2"
    core::on_exit session::_leave
    session::start "$1" "$2"
    # Only for a person: scripts come in here with their words on stdin.
    [[ ! -t 0 || ! -t 2 || -n "${CORE_QUIET}" ]] || core::helper container_greeting "$1" >&2 || true
    mlc::run open "$1" -s || status=$?
    # mlc has stopped the container itself, if nothing else ran in it. A shell that was killed went with the container:
    # who stopped that tells it.
    if ((status != 137)); then
        core::member running "$(mlc::container_json "$1" 2> /dev/null || true)" running
        [[ "${running}" != false ]] || session::_note_end "$2"
    fi
    exit "${status}"
}

# Run a command in a container and return its status; stdin, stdout and stderr are the command's.
session::run() { # <name> <engine-name> <word>...
    local name="$1" status=0 last
    shift
    session::_enter "$1"
    core::on_exit session::_leave
    session::start "${name}" "$1" >&2
    if [[ -t 0 && -t 1 ]]; then
        docker::exec_words "$1" yes "${@:2}"
        "${DOCKER_WORDS[@]}" || status=$?
        exit "${status}"
    fi
    # Without a terminal docker passes no signal on, and the process inside would outlive us. So it leaves its number in
    # a file inside, and our signals are sent on to it.
    SESSION_PID_FILE="/tmp/.ds01-run-$$-${RANDOM}"
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
    docker::remove_inside "$1" "${SESSION_PID_FILE}"
    exit "${status}"
}

# Send a signal on to the command inside.
session::_pass_on() { # <signal>
    docker::signal_inside "${SESSION_CONTAINER}" "$1" "${SESSION_PID_FILE}" || true
}
