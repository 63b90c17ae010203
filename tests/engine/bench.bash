# shellcheck shell=bash
# What tests/run installs, makes, and takes away again: packages, venv, folder, users, engine.
: "${root:?set by tests/run}" "${fast=}" "${keep=}" "${filter=}"

# What Debian calls the programs that the tests run; `bench::package_of` knows the exceptions.
readonly BENCH_PROGRAMS=(dockerd docker docker-compose docker-registry mmdebstrap whiptail jq tmux git sudo dash bats ip pgrep gcc zsh fish mandoc man promtool logrotate cron)
readonly BENCH_FAST_PROGRAMS=(whiptail jq tmux git dash bats pgrep gcc promtool)

bench_dir=
bench_engine=
# What they are run with is in NAME.environment. More than cores, because their tests wait much of the time.
bench_engines=(one two three)
bench_before=
bench_left=0

bench::die() { # <status> <text>
    printf 'tests/run: error: %s\n' "$2" >&2
    exit "$1"
}

bench::say() { # <text>
    printf 'tests/run: %s\n' "$1"
}

# The Debian package of a program. Prints: its name.
bench::package_of() { # <program>
    case "$1" in
        dockerd) printf 'docker.io\n' ;;
        # Debian 13 split the client off; before, docker.io brings it.
        docker) if apt-cache show docker-cli > /dev/null 2>&1; then printf 'docker-cli\n'; else printf 'docker.io\n'; fi ;;
        man) printf 'man-db\n' ;;
        ip) printf 'iproute2\n' ;;
        pgrep) printf 'procps\n' ;;
        promtool) printf 'prometheus\n' ;;
        *) printf '%s\n' "$1" ;;
    esac
}

# The Debian packages that are missing. Prints: their names.
bench::missing_packages() {
    local program programs=("${BENCH_FAST_PROGRAMS[@]}")
    [[ -n "${fast}" ]] || programs=("${BENCH_PROGRAMS[@]}")
    for program in "${programs[@]}"; do
        type -P "${program}" > /dev/null || bench::package_of "${program}"
    done
    [[ -n "${fast}" || -e /usr/share/keyrings/debian-archive-keyring.gpg ]] \
        || printf 'debian-archive-keyring\n'
    [[ -n "${fast}" || -e /usr/share/bash-completion/bash_completion ]] || printf 'bash-completion\n'
    /usr/bin/python3 -c 'import ensurepip' 2> /dev/null || printf 'python3-venv\n'
    [[ -e /usr/include/stdio.h ]] || printf 'libc6-dev\n'
    [[ -e /usr/include/jansson.h ]] || printf 'libjansson-dev\n'
}

# Say at the start what will be installed and made.
bench::announce() {
    local packages
    packages="$(bench::missing_packages | sort -u | tr '\n' ' ')"
    bench::say "Debian packages to install: ${packages:-none}"
    if bench::venv_is_current; then
        bench::say "Python packages: already in '${root}/venv'"
    else
        bench::say "Python packages to install into '${root}/venv': those of requirements.txt and requirements-dev.txt"
    fi
    bench::say "caches in '${root}' that stay: .mypy_cache, .ruff_cache, __pycache__ (all git-ignored)"
    if [[ -z "${fast}" ]]; then
        bench::say 'made for the run and removed at its end: a folder in /var/tmp, a Docker engine with its own bridge, the users ds01t-* and 90017, the group ds01t-docker'
    else
        bench::say 'made for the run and removed at its end: a folder in /var/tmp'
    fi
}

# Install the missing Debian packages, without starting their services.
bench::install_packages() {
    local packages policy=/usr/sbin/policy-rc.d own_policy=
    mapfile -t packages < <(bench::missing_packages | sort -u)
    ((${#packages[@]} > 0)) || return 0
    ((EUID == 0)) || bench::die 7 "missing Debian packages: ${packages[*]}; install them with 'sudo apt-get install ${packages[*]}'"
    type -P apt-get > /dev/null || bench::die 7 "missing packages, and no apt-get to install them: ${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq || bench::say 'apt-get update failed; going on with the lists at hand'
    # docker.io would start a second engine, which nobody asked for.
    if [[ ! -e "${policy}" ]]; then
        own_policy=1
        printf '#!/bin/sh\nexit 101\n' > "${policy}"
        chmod 755 "${policy}"
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    mapfile -t packages < <(bench::missing_packages | sort -u)
    apt-get install -y -qq --no-install-recommends "${packages[@]}" > /dev/null \
        || bench::die 7 "cannot install ${packages[*]}"
    if [[ -n "${own_policy}" ]]; then
        rm -f -- "${policy}"
        trap - EXIT
    fi
}

# The checksum of what the venv should hold. Prints: it.
bench::requirements_sum() {
    cat -- "${root}/requirements.txt" "${root}/requirements-dev.txt" | sha256sum | cut -d ' ' -f 1
}

# The Python to build on: the system's, because the test users cannot look into somebody's home. Prints: its path.
bench::python() {
    if [[ -x /usr/bin/python3 ]] && /usr/bin/python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
        printf '/usr/bin/python3\n'
    else
        type -P python3
    fi
}

bench::venv_is_current() {
    local sum
    sum="$(bench::requirements_sum)"
    [[ -x "${root}/venv/bin/python3" && "$(cat "${root}/venv/.requirements" 2> /dev/null)" == "${sum}" ]] \
        && [[ "${root}/venv/bin/python3" -ef "$(bench::python)" ]] \
        && "${root}/venv/bin/python3" -c 'import pytest' 2> /dev/null
}

# Put the pinned Python packages into ./venv.
bench::make_venv() {
    ! bench::venv_is_current || return 0
    if [[ ! "${root}/venv/bin/python3" -ef "$(bench::python)" ]] \
        || ! "${root}/venv/bin/python3" -c 'import pip' 2> /dev/null; then
        "$(bench::python)" -m venv --clear "${root}/venv" || bench::die 7 "cannot make '${root}/venv'"
    fi
    "${root}/venv/bin/python3" -m pip install --quiet --disable-pip-version-check \
        --requirement "${root}/requirements.txt" --requirement "${root}/requirements-dev.txt" \
        || bench::die 7 'cannot install the Python packages'
    bench::requirements_sum > "${root}/venv/.requirements"
}

# Make the folder of this run and see to it that everything goes again, however the run ends.
bench::open() {
    if [[ -z "${fast}" ]]; then
        # The users and their group are one per machine, so runs take turns.
        exec {bench_lock}> /run/lock/ds01-tests.lock
        flock --nonblock "${bench_lock}" || {
            bench::say 'waiting for another run on this machine to end'
            flock --wait 1500 "${bench_lock}" || bench::die 7 'another run on this machine does not end'
        }
    fi
    bench::sweep
    bench_before="$(bench::list_cgroups)"
    trap bench::abort INT TERM HUP
    trap bench::leave EXIT
    bench_dir="$(mktemp -d /var/tmp/ds01t.XXXXXX)"
    chmod 755 "${bench_dir}"
    mkdir -- "${bench_dir}/home" "${bench_dir}/bats"
    mkdir -m 1777 -- "${bench_dir}/tmp" "${bench_dir}/shared"
    # The caller's settings must not reach the tests.
    local name
    for name in $(compgen -e); do
        case "${name}" in
            DS01_* | MLC_* | FAKE_NVML_* | NVIDIA_* | XDG_* | DOCKER_* | PYTHON* | COMMAND_NAME | BATS_* | NO_COLOR) unset "${name}" ;;
            *) ;;
        esac
    done
    [[ -z "${fast}" ]] || export BENCH_FAST=1
    export BENCH_DIR="${bench_dir}" HOME="${bench_dir}/home" TMPDIR="${bench_dir}/tmp"
    export PATH="${root}/venv/bin:${PATH}" LC_ALL=C.UTF-8 TERM="${TERM:-dumb}"
    export TMUX_TMPDIR="${bench_dir}"
    export HYPOTHESIS_STORAGE_DIRECTORY="${bench_dir}/hypothesis" PYTHONDONTWRITEBYTECODE=1
    git config --global --add safe.directory '*'
    if [[ -z "${fast}" ]] && ! setpriv --reuid 65534 --regid 65534 --clear-groups test -r "${root}/VERSION"; then
        # The test users cannot look into this checkout where it lies: show it elsewhere.
        mkdir -- "${bench_dir}/src"
        mount --bind "${root}" "${bench_dir}/src"
        root="${bench_dir}/src"
        PATH="${root}/venv/bin:${PATH}"
    fi
    cd -- "${root}" || bench::die 7 "cannot enter '${root}'"
    # The simulated driver, with no GPU until a test says so; see tests/fake-nvml/README.md.
    BENCH_GPUS="$(tests/fake-nvml/build "${bench_dir}/gpus")" || bench::die 7 'cannot build the simulated driver'
    export BENCH_GPUS
    tests/python/fake_gpus.py --output "${BENCH_GPUS}/topology.json"
}

# End what a run that was killed left on this machine.
bench::sweep() {
    local folder engine
    [[ -z "${fast}" ]] || return 0
    for folder in /var/tmp/ds01t.*/; do
        # Only full runs have engines, and this run holds their lock: the owner is dead.
        [[ -e "${folder}engine" && ! -e "${folder}kept" ]] || continue
        bench::say "ending what an earlier run left in '${folder%/}'"
        for engine in "${folder}"engine*; do
            [[ ! -e "${engine}/ds01-engine" ]] || "${root}/tests/engine/stop" "${engine}" || true
        done
        rm -rf --one-file-system -- "${folder%/}"
    done
}

# Start the engine and users, and build the base image in it; start the other engines beside that, and copy the image
# there.
bench::start_engines() {
    local name id ids=()
    "${root}/tests/engine/users" make "${bench_dir}/homes" > "${bench_dir}/users.json"
    export BENCH_USERS="${bench_dir}/users.json"
    bench_engine="${bench_dir}/engine"
    # A few tests share one engine, and run one after the other.
    [[ -z "${filter}" ]] || bench_engines=(one)
    # With job control, because an engine that is begun in the background without it would ignore signals.
    set -m
    for name in "${bench_engines[@]:1}"; do
        bench::start_another "${name}" &
        ids+=($!)
    done
    set +m
    DOCKER_HOST="$("${root}/tests/engine/start" --group ds01t-docker \
        --gpus "${BENCH_GPUS}/topology.json" "${bench_engine}" {bench_lock}>&-)" \
        || bench::die 7 'cannot start the engine'
    export DOCKER_HOST
    bench::say "engine of this run: ${DOCKER_HOST}"
    printf '%s\n' "DOCKER_HOST=${DOCKER_HOST}" > "${bench_dir}/${bench_engines[0]}.environment"
    bench::build_base || bench::die 7 'cannot build the base image'
    ((${#ids[@]} > 0)) || return 0
    for id in "${ids[@]}"; do
        wait "${id}" || bench::die 7 'cannot start another engine'
    done
    ids=()
    for name in "${bench_engines[@]:1}"; do
        docker save ds01/debian:bookworm \
            | docker --host "unix://${bench_dir}/engine-${name}/docker.sock" load --quiet > /dev/null &
        ids+=($!)
    done
    for id in "${ids[@]}"; do
        wait "${id}" || bench::die 7 'cannot copy the base image'
    done
}

# One more engine with GPUs and homes of its own, so that suites run beside each other. Writes: NAME.environment, what
# to run one with.
bench::start_another() { # <name>
    local gpus host users="${bench_dir}/users-$1.json"
    gpus="$("${root}/tests/fake-nvml/build" "${bench_dir}/gpus-$1")"
    "${root}/tests/python/fake_gpus.py" --output "${gpus}/topology.json"
    host="$("${root}/tests/engine/start" --group ds01t-docker --gpus "${gpus}/topology.json" \
        "${bench_dir}/engine-$1" {bench_lock}>&-)"
    jq --arg from "${bench_dir}/homes/" --arg to "${bench_dir}/homes-$1/" \
        'map_values(.home |= sub("^\($from)"; $to))' "${BENCH_USERS}" > "${users}"
    cp --archive -- "${bench_dir}/homes" "${bench_dir}/homes-$1"
    printf '%s\n' "DOCKER_HOST=${host}" "BENCH_GPUS=${gpus}" "BENCH_USERS=${users}" > "${bench_dir}/$1.environment"
}

bench::build_base() {
    if [[ -x "${root}/bin/image-base" ]]; then
        "${root}/bin/image-base"
    else
        mmdebstrap --quiet --variant=minbase --include=python3,sudo,git,procps,ca-certificates bookworm - \
            | docker import - ds01/debian:bookworm
    fi
}

# Processes that the tests began, known by BENCH_DIR in their environment. Prints: their ids.
bench::processes() {
    local folder id
    for folder in /proc/[0-9]*; do
        id="${folder#/proc/}"
        ((id != $$ && id != BASHPID && id != PPID)) || continue
        case "$(cat "${folder}/comm" 2> /dev/null)" in
            # The engine of the run ends by tests/engine/stop.
            dockerd | containerd* | docker-proxy | runc | '') continue ;;
            *) ;;
        esac
        if tr '\0' '\n' 2> /dev/null < "${folder}/environ" | grep -qxF "BENCH_DIR=${bench_dir}"; then
            # The shells of this pipeline and their parents are the bench itself.
            [[ "$(cut -d ' ' -f 4 < "${folder}/stat" 2> /dev/null)" == "$$" ]] || printf '%s\n' "${id}"
        fi
    done
}

bench::list_cgroups() {
    find /sys/fs/cgroup -type d -name '*ds01*' 2> /dev/null | sort || true
}

bench::abort() {
    trap '' INT TERM HUP
    printf '\ntests/run: interrupted\n' >&2
    exit 130
}

# Note something that a test left behind: it counts as a failure.
bench::note_left() { # <what> <list>
    [[ -n "$2" ]] || return 0
    bench_left=$((bench_left + 1))
    printf 'tests/run: left behind: %s\n%s\n' "$1" "$2" >&2
}

# Take everything away again and look whether the tests did too.
bench::close() {
    local ids list path
    [[ -n "${bench_dir}" ]] || return 0
    if [[ -n "${keep}" ]]; then
        : > "${bench_dir}/kept"
        bench::say "kept: DOCKER_HOST=${DOCKER_HOST:-none} in '${bench_dir}'"
        bench::say "to end them: 'tests/engine/stop ${bench_dir}/engine; tests/engine/users remove ${bench_dir}/homes; rm -rf ${bench_dir}'"
        bench_dir=
        return 0
    fi
    cd / || return 1
    ids="$(bench::processes)"
    if [[ -n "${ids}" ]]; then
        bench::note_left processes "$(ps -o pid,user,args -p "${ids//$'\n'/,}" 2> /dev/null | tail -n +2 || true)"
        # shellcheck disable=SC2086 # one word per process
        kill -KILL ${ids} 2> /dev/null || true
    fi
    for path in "${bench_dir}"/engine* "${bench_dir}"/shared/*/engine*; do
        [[ ! -e "${path}/ds01-engine" ]] || "${root}/tests/engine/stop" "${path}" || true
    done
    list="$(find "${bench_dir}/tmp" -mindepth 1 -maxdepth 1 2> /dev/null || true)"
    bench::note_left 'files in TMPDIR' "${list}"
    if [[ -n "${bench_engine}" ]]; then
        # Only what lies directly there, belongs to a test user, and is younger than this run.
        list="$(find /tmp /var/tmp /dev/shm -mindepth 1 -maxdepth 1 -newer "${bench_dir}/home" \
            \( -uid 3000039107 -o -uid +39100 -uid -39107 \) 2> /dev/null || true)"
        bench::note_left 'files of the test users' "${list}"
        while IFS= read -r path; do
            [[ -z "${path}" ]] || rm -rf -- "${path}"
        done <<< "${list}"
        "${root}/tests/engine/users" remove "${bench_dir}/homes"
    fi
    list="$(cut -d ' ' -f 5 /proc/self/mountinfo | grep -F "${bench_dir}/" | grep -vxF "${bench_dir}/src" || true)"
    bench::note_left mounts "${list}"
    for path in ${list}; do
        umount --lazy -- "${path}" || true
    done
    [[ "${root}" != "${bench_dir}/src" ]] || umount --lazy -- "${bench_dir}/src"
    list="$(comm -13 <(printf '%s\n' "${bench_before}") <(bench::list_cgroups) | sort -r || true)"
    for path in ${list}; do
        rmdir -- "${path}" 2> /dev/null || true
    done
    rm -rf --one-file-system -- "${bench_dir}"
    [[ ! -e "${bench_dir}" ]] || bench::note_left files "${bench_dir}"
    ! getent passwd ds01t-alice > /dev/null || [[ -z "${bench_engine}" ]] || bench::note_left users ds01t-alice
    bench_dir=
}

# The trap of every exit.
bench::leave() {
    local status=$?
    trap '' INT TERM HUP
    set +e
    bench::close
    exit "${status}"
}
