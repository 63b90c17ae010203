# shellcheck shell=bash
# Debian packages and the Docker engine: what is missing, how it gets there.
: "${CORE_HOLD:?}" "${EXIT_PREREQUISITE:?}" "${INSTALL_SYSTEM?set by lib}" "${INSTALL_USER?set by lib}" "${INSTALL_DRY_RUN?set by lib}" \
    "${CORE_TEMP?set by lib}"

# An engine that the installer starts itself, where there is no systemd.
readonly SYSTEM_ENGINE_PID=/run/ds01-dockerd.pid SYSTEM_ENGINE_LOG=/var/log/ds01-dockerd.log

# The Python to build on: the system's, because users cannot look into somebody's home. Prints: its path, or nothing.
system::python() {
    local python
    for python in /usr/bin/python3 "$(type -P python3 || true)"; do
        if [[ -x "${python}" ]] && "${python}" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2> /dev/null; then
            printf '%s\n' "${python}"
            return 0
        fi
    done
}

# Find the Debian packages that are missing. Sets: INSTALL_MISSING; where they cannot be installed, INSTALL_PROBLEMS.
system::find_missing() {
    local program python optional=()
    INSTALL_MISSING=()
    for program in jq git; do
        type -P "${program}" > /dev/null || INSTALL_MISSING+=("${program}")
    done
    # That of Ubuntu 25.10 does not; which coreutils a system has is not for an installer to change.
    "${CORE_HOLD[@]}" bash -c : 2> /dev/null \
        || core::die "${EXIT_PREREQUISITE}" "this system's 'env' does not know the option '--block-signal'" \
            "run 'sudo apt-get install coreutils-from-gnu' for one that does"
    python="$(system::python)"
    if [[ -z "${python}" ]]; then
        INSTALL_MISSING+=(python3 python3-venv)
    elif ! "${python}" -c 'import ensurepip' 2> /dev/null; then
        INSTALL_MISSING+=(python3-venv)
    fi
    if ! type -P docker > /dev/null; then
        # Debian 13 split the client off; before, docker.io brings it.
        if [[ -n "$(apt-cache --quiet=2 search --names-only '^docker-cli$' 2> /dev/null || true)" ]]; then
            INSTALL_MISSING+=(docker-cli)
        else
            INSTALL_MISSING+=(docker.io)
        fi
    fi
    # An engine of another origin (docker-ce, a remote one) is as good.
    if [[ -n "${INSTALL_SYSTEM}" ]] && ! type -P dockerd > /dev/null && ! docker::answers; then
        INSTALL_MISSING+=(docker.io)
    fi
    type -P whiptail > /dev/null || optional+=(whiptail) # rule: it is only looked for
    type -P mmdebstrap > /dev/null || optional+=(mmdebstrap)
    # They have their programs where not everybody's PATH leads to.
    [[ -x /usr/sbin/cron || -x /usr/sbin/crond ]] || optional+=(cron)
    [[ -x /usr/sbin/logrotate ]] || optional+=(logrotate)
    [[ -e /usr/share/keyrings/debian-archive-keyring.gpg ]] || optional+=(debian-archive-keyring)

    if [[ -n "${INSTALL_SYSTEM}" ]]; then
        INSTALL_MISSING+=("${optional[@]}")
        mapfile -t INSTALL_MISSING < <(printf '%s\n' "${INSTALL_MISSING[@]}" | sed '/^$/d' | sort -u)
        if ((${#INSTALL_MISSING[@]} > 0)) && ! type -P apt-get > /dev/null; then
            INSTALL_PROBLEMS+=("these are missing, and there is no apt-get to install them: ${INSTALL_MISSING[*]}")
        fi
        return 0
    fi
    ((${#optional[@]} == 0)) || core::warn "not installed, some commands will miss them: ${optional[*]}"
    ((${#INSTALL_MISSING[@]} == 0)) || INSTALL_PROBLEMS+=("missing Debian packages: ${INSTALL_MISSING[*]}")
}

# Install what is missing.
system::install_packages() {
    [[ -n "${INSTALL_SYSTEM}" ]] && ((${#INSTALL_MISSING[@]} > 0)) || return 0
    install::act "install the Debian packages ${INSTALL_MISSING[*]}" system::_apt "${INSTALL_MISSING[@]}"
}

system::_apt() { # <package>...
    local log="${CORE_TEMP}/apt.log"
    # A question would hang the installation for ever.
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq > "${log}" 2>&1 || core::warn "'apt-get update' failed; going on with the lists at hand"
    apt-get install -y -qq --no-install-recommends "$@" >> "${log}" 2>&1 < /dev/null || {
        tail -n 10 -- "${log}" >&2
        core::die "${EXIT_PREREQUISITE}" "cannot install $*" "run 'sudo apt-get install $*' to see why"
    }
}

# Start an engine if none answers.
system::start_engine() {
    if docker::answers; then
        return 0
    elif [[ -z "${INSTALL_SYSTEM}" ]]; then
        core::warn 'no Docker engine answers you'
        core::hint "ask the administrator to start it and to add you to the group 'docker'"
    elif system::_is_starting; then
        # The package has just started it, or the machine has just booted.
        system::_wait_for_engine 'ps -C dockerd -f'
    elif [[ -d /run/systemd/system ]]; then
        install::act 'start the Docker engine, now and at every boot' systemctl --quiet enable --now docker
        system::_wait_for_engine 'journalctl -u docker'
    else
        install::act 'start the Docker engine (without systemd)' system::_start_dockerd
        system::_wait_for_engine "less ${SYSTEM_ENGINE_LOG}"
        core::info "the engine's log is '${SYSTEM_ENGINE_LOG}'; to stop it: kill \$(cat ${SYSTEM_ENGINE_PID})"
        core::info 'nothing starts it again at the next boot: run install.sh again then'
    fi
}

# Is there an engine at the usual place that does not answer yet?
system::_is_starting() {
    local id
    [[ -s /run/docker.pid ]] || return 1
    id="$(< /run/docker.pid)"
    [[ "${id}" =~ ^[0-9]+$ && "$(cat "/proc/${id}/comm" 2> /dev/null)" == dockerd ]]
}

# Start the engine as a process of its own, away from this terminal.
system::_start_dockerd() {
    setsid --fork dockerd --pidfile "${SYSTEM_ENGINE_PID}" < /dev/null >> "${SYSTEM_ENGINE_LOG}" 2>&1
}

system::_wait_for_engine() { # <command that shows why not>
    local tries
    [[ -z "${INSTALL_DRY_RUN}" ]] || return 0
    for ((tries = 0; tries < 60; tries++)); do
        ! docker::answers || return 0
        sleep 0.5
    done
    core::die "${EXIT_PREREQUISITE}" 'the Docker engine does not start' "run '$1' to see why"
}

# The process of an engine that the installer started. Prints: its id, or nothing.
system::own_engine() {
    local id
    [[ -s "${SYSTEM_ENGINE_PID}" ]] || return 0
    id="$(< "${SYSTEM_ENGINE_PID}")"
    # A number alone may belong to somebody else by now.
    if [[ "${id}" =~ ^[0-9]+$ && "$(cat "/proc/${id}/comm" 2> /dev/null)" == dockerd ]] \
        && tr '\0' '\n' < "/proc/${id}/cmdline" | grep -qxF -- "${SYSTEM_ENGINE_PID}"; then
        printf '%s\n' "${id}"
    fi
}

# The group whose members may use the engine. Prints: its name.
system::engine_group() {
    local socket="${DOCKER_HOST:-unix:///var/run/docker.sock}" group=''
    socket="${socket#unix://}"
    [[ ! -S "${socket}" ]] || group="$(stat --format %G -- "${socket}")"
    if [[ -n "${group}" && "${group}" != root && "${group}" != UNKNOWN ]]; then
        printf '%s\n' "${group}"
    elif getent group docker > /dev/null; then
        printf 'docker\n'
    else
        printf 'root\n'
    fi
}
