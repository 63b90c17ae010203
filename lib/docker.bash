# shellcheck shell=bash
# The only shell file that runs docker. It asks nobody and decides nothing; what exists is read by python/containers.py.
: "${PROJECT_ROOT:?set by lib/run-command}"

# Is there a docker command? Leaves with what to install otherwise.
docker::require() {
    command -v docker > /dev/null \
        || core::die "${EXIT_PREREQUISITE}" "the command 'docker' is not installed" \
            "run 'sudo apt-get install docker.io', or ask the administrator"
}

# Is an image on this server?
docker::has_image() { # <image>
    docker image inspect --format '{{.Id}}' -- "$1" > /dev/null 2>&1
}

# The words that run a command inside a container as its owner. Sets: DOCKER_WORDS.
docker::exec_words() { # <container> <terminal: yes|no> <word>...
    local container="$1" terminal="$2"
    shift 2
    DOCKER_WORDS=(docker exec --interactive)
    [[ "${terminal}" == no ]] || DOCKER_WORDS+=(--tty)
    [[ -z "${DISPLAY:-}" ]] || DOCKER_WORDS+=(--env "DISPLAY=${DISPLAY}")
    DOCKER_WORDS+=(--user "${UID}:${GROUPS[0]}" --workdir /workspace "${container}" "$@")
}

# Start a container. Returns docker's status; its reason is on stderr.
docker::start() { # <container>
    docker start "$1" > /dev/null
}

# Stop a container of which only the idle shell is left; that shell does not react to SIGTERM, so nothing is waited for.
docker::stop_idle() { # <container>
    docker stop --time 0 "$1" > /dev/null
}

# Send a signal to a process inside a container, known by a file that holds its number there.
docker::signal_inside() { # <container> <signal> <file-inside>
    docker exec --user "${UID}:${GROUPS[0]}" "$1" \
        sh -c 'kill -s "$1" -- "$(cat "$2")"' sh "$2" "$3" > /dev/null 2>&1
}

# Remove a container that was never started, or a temporary one; nothing of a person is in it.
docker::remove_unused() { # <container>
    docker rm --force "$1" > /dev/null 2>&1
}

# Remove a file inside a running container; it does not matter if the container is gone.
docker::remove_inside() { # <container> <file>
    docker exec --user "${UID}:${GROUPS[0]}" "$1" rm -f -- "$2" > /dev/null 2>&1 || true
}
