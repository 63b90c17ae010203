# shellcheck shell=bash
# The only shell file that runs docker. It asks nobody and decides nothing; what exists is read by python/containers.py.
: "${PROJECT_ROOT:?set by lib/run-command}" "${EXIT_PREREQUISITE:?}"

# Is there a docker command? Leaves with what to install otherwise.
docker::require() {
    command -v docker > /dev/null \
        || core::die "${EXIT_PREREQUISITE}" "the command 'docker' is not installed" \
            "run 'sudo apt-get install docker.io', or ask the administrator"
}

# Print as JSON how many CPUs and how many bytes of memory the engine's server has.
docker::host_size() {
    docker info --format '{"cpus":{{.NCPU}},"memory":{{.MemTotal}}}'
}

# Is an image on this server?
docker::has_image() { # <image>
    docker image inspect --format '{{.Id}}' -- "$1" > /dev/null 2>&1
}

# The words that run docker, built by docker::exec_words.
DOCKER_WORDS=(docker)

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

# Stop a container without waiting for its processes.
docker::stop_now() { # <container>
    docker stop --time 0 "$1" > /dev/null
}

# Send a signal to a process inside a container, known by a file that holds its number there.
docker::signal_inside() { # <container> <signal> <file-inside>
    docker exec --user "${UID}:${GROUPS[0]}" "$1" \
        sh -c 'kill -s "$1" -- "$(cat "$2")"' sh "$2" "$3" > /dev/null 2>&1
}

# End a process inside a container, known by a file that holds its number there: asked first, then killed.
docker::end_inside() { # <container> <file-inside>
    # shellcheck disable=SC2016 # expanded by the shell inside
    docker exec --user "${UID}:${GROUPS[0]}" "$1" sh -c 'process=$(cat "$1") && kill "${process}" || exit 0
        for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
            kill -0 "${process}" || exit 0
            sleep 0.1
        done
        kill -KILL "${process}"' sh "$2" > /dev/null 2>&1 || true
}

# Remove a file inside a running container; it does not matter if the container is gone.
docker::remove_inside() { # <container> <file>
    docker exec --user "${UID}:${GROUPS[0]}" "$1" rm -f -- "$2" > /dev/null 2>&1 || true
}

# Does the engine answer? Leaves with its reason and what to do otherwise.
docker::require_engine() {
    local reason
    reason="$(docker version --format '{{.Server.Version}}' 2>&1)" \
        || core::die "${EXIT_PREREQUISITE}" "the Docker engine does not answer: ${reason##*$'\n'}" \
            "run 'sudo systemctl start docker', or ask the administrator"
}

# Make an image of a file system that comes as a tar file on stdin. Prints: its id.
docker::import() { # <label>
    docker::_set_import_words "$1"
    "${DOCKER_WORDS[@]}"
}

# Print the import instead of running it.
docker::print_import() { # <label>
    docker::_set_import_words "$1"
    printf '%s\n' "${DOCKER_WORDS[*]@Q}"
}

docker::_set_import_words() { # <label>
    DOCKER_WORDS=(docker import --change "LABEL ds01.base=$1" --change 'ENV LANG=C.UTF-8' --change 'CMD ["bash"]' -)
}

# Name an image; another image of that name loses it.
docker::tag_image() { # <image> <name>
    docker image tag "$1" "$2"
}

# Remove an image that no container uses; it does not matter if it is gone.
docker::remove_image() { # <image>
    docker image rm "$1" > /dev/null 2>&1 || true
}

# Remove unnamed images of docker::import that nothing uses. What was built on one has its label too, and more layers.
docker::prune_imports() { # <label>
    local id
    for id in $(docker images --quiet --no-trunc --filter dangling=true --filter "label=ds01.base=$1" 2> /dev/null); do
        [[ "$(docker image inspect --format '{{len .RootFS.Layers}}' "${id}" 2> /dev/null)" != 1 ]] \
            || docker image rm "${id}" > /dev/null 2>&1 || true
    done
}

# Does the engine answer this user?
docker::answers() {
    type -P docker > /dev/null && docker version > /dev/null 2>&1
}

# Containers that the gateway made, on the whole engine. Prints: their number.
docker::count_managed() {
    docker ps --all --quiet --filter label=ds01.managed 2> /dev/null | wc -l
}

# Run docker with the gateway between it and the engine. Returns: docker's status.
docker::governed() { # <word>...
    core::helper docker_gateway run -- docker "$@"
}
