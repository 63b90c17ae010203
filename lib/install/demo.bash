# shellcheck shell=bash
# The main job, once: a container of the invoking user's own, its limits read back from inside, then removed.
: "${EXIT_BUG:?}" "${EXIT_PREREQUISITE:?}" "${CORE_QUIET?set by lib}" "${CORE_TEMP?set by lib}"
# prefix, bin, config, state, log: see layout.bash
declare -A LAYOUT

DEMO_USER=''
DEMO_NAME=''
DEMO_FOLDER=''

# Reads the limits where a program in the container would: cgroup v2 or v1.
# shellcheck disable=SC2016 # the container's shell expands these
readonly DEMO_SCRIPT='
cd /sys/fs/cgroup
if [ -e cgroup.controllers ]; then
    read -r quota period < cpu.max
    memory=$(cat memory.max)
    pids=$(cat pids.max)
else
    quota=$(cat cpu/cpu.cfs_quota_us)
    period=$(cat cpu/cpu.cfs_period_us)
    memory=$(cat memory/memory.limit_in_bytes)
    pids=$(cat pids/pids.max)
fi
shm=$(df -B1 /dev/shm | while read -r _ size _; do echo "$size"; done | tail -n 1)
echo "limits $quota $period $memory $pids $shm $(id -un) $(id -u)"
'

# Run the demonstration; leaves with a failure where a limit is not what the policy says.
demo::run() {
    local answer policy
    demo::_choose_user
    docker::require_engine
    docker::has_image ds01/debian:bookworm || "${LAYOUT[prefix]}/bin/image-base" ${CORE_QUIET:+--quiet} > /dev/null
    DEMO_NAME="ds01-demo-$$"
    DEMO_FOLDER="$(demo::_as_user mktemp -d "${TMPDIR:-/tmp}/ds01-demo.XXXXXXXX")"
    core::on_exit demo::_clean_up
    core::info "making the container '${DEMO_NAME}' of '${DEMO_USER}' from 'ds01/debian:bookworm', because it needs no GPU and no internet"
    answer="$(demo::_as_user "${LAYOUT[prefix]}/bin/container-run" --yes --quiet --workspace "${DEMO_FOLDER}" \
        "${DEMO_NAME}" Debian bookworm -- sh -c "${DEMO_SCRIPT}" < /dev/null)" \
        || core::die "${EXIT_BUG}" "'container-run' failed with status $?" "run 'ds01-config check' to see if the configuration is right"
    answer="$(grep '^limits ' <<< "${answer}" | tail -n 1)" \
        || core::die "${EXIT_BUG}" 'the container did not tell its limits'
    # The installed program knows where its configuration is.
    policy="$("${LAYOUT[prefix]}/venv/bin/python3" -sE "${LAYOUT[prefix]}/python/get_resource_limits.py" "${DEMO_USER}" --json)" \
        || core::die "${EXIT_BUG}" "cannot read the limits of '${DEMO_USER}'"
    demo::_compare "${answer}" "${policy}"
    demo::_as_user "${LAYOUT[prefix]}/bin/container-remove" --yes --force --quiet "${DEMO_NAME}" \
        || core::die "${EXIT_BUG}" "cannot remove the container '${DEMO_NAME}'"
    core::info "removed the container '${DEMO_NAME}'"
}

# Act as who called sudo, if that person may use the engine.
demo::_choose_user() {
    DEMO_USER="$(id -un)"
    [[ "${EUID}" == 0 && -n "${SUDO_USER:-}" && "${SUDO_USER}" != root ]] || return 0
    DEMO_USER="${SUDO_USER}"
    if ! demo::_as_user docker version > /dev/null 2>&1; then
        DEMO_USER=root
        core::info "'${SUDO_USER}' may not use the Docker engine, so the demonstration is root's"
        core::hint "run 'sudo usermod -aG $(system::engine_group) ${SUDO_USER}' to change that"
    fi
}

# Run a command as the user of the demonstration.
demo::_as_user() { # <command> [<word>...]
    local home
    if [[ "${DEMO_USER}" == "$(id -un)" ]]; then
        "$@"
        return
    fi
    home="$(getent passwd "${DEMO_USER}" | cut -d : -f 6)"
    runuser -u "${DEMO_USER}" -- env --chdir="${home}" HOME="${home}" USER="${DEMO_USER}" LOGNAME="${DEMO_USER}" "$@"
}

demo::_clean_up() {
    demo::_as_user "${LAYOUT[prefix]}/bin/container-remove" --yes --force --quiet "${DEMO_NAME}" > /dev/null 2>&1 || true
    rm -rf -- "${DEMO_FOLDER}"
}

# The smaller of two numbers, of which the first may be `null`. Prints: it, or `max`.
demo::_least() { # <number|null> <number|null>
    if [[ "$1" == null && "$2" == null ]]; then
        printf 'max\n'
    elif [[ "$1" == null ]] || { [[ "$2" != null ]] && (($2 < $1)); }; then
        printf '%s\n' "$2"
    else
        printf '%s\n' "$1"
    fi
}

# Print policy and reality side by side; leaves with a failure where they differ.
demo::_compare() { # <answer> <policy-json>
    local quota period memory pids shm name uid cpus limits want wrong=0
    local -a rows
    read -r _ quota period memory pids shm name uid <<< "$1"
    # Hundredths of a CPU; the kernel's word for no limit is -1 or max, and nearly 2^63 for memory on cgroup v1.
    cpus=max
    [[ "${quota}" == max || "${quota}" == -1 ]] || cpus=$((quota * 100 / period))
    ((${#memory} < 19)) || memory=max
    limits="$(jq -r '.limits | [if .max_cpus then (.max_cpus * 100 | floor) else "null" end,
        .memory // "null", .pids_limit // "null", .shm_size // "null"] | @tsv' <<< "$2")"
    read -r -a rows <<< "${limits}"

    printf '\n%-14s %14s %14s %18s\n' '' policy 'on this host' 'in the container'
    want="$(demo::_least "${rows[0]}" "$(($(nproc --all) * 100))")"
    demo::_row CPUs cpus "${rows[0]}" "${want}" "${cpus}" || wrong=1
    want="$(demo::_least "${rows[1]}" "$(($(sed -n 's/^MemTotal: *\([0-9]*\) kB$/\1/p' /proc/meminfo) * 1024))")"
    demo::_row memory bytes "${rows[1]}" "${want}" "${memory}" || wrong=1
    demo::_row 'shared memory' bytes "${rows[3]}" "$(demo::_least "${rows[3]}" null)" "${shm}" || wrong=1
    demo::_row processes number "${rows[2]}" "$(demo::_least "${rows[2]}" null)" "${pids}" || wrong=1
    want="$(id -u "${DEMO_USER}")"
    printf '%-14s %14s %14s %18s\n\n' user "${DEMO_USER}" "${want}" "${name}, ${uid}"
    [[ "${uid}" == "${want}" ]] || wrong=1
    ((wrong == 0)) || core::die "${EXIT_BUG}" 'the container does not have the limits of the policy'
}

# Print one row; returns 1 where the container's value is not the wanted one.
demo::_row() { # <name> <cpus|bytes|number> <policy> <wanted> <found>
    local value shown=()
    for value in "$3" "$4" "$5"; do
        case "$2-${value}" in
            *-null | *-max) value=unlimited ;;
            cpus-*) value="$((value / 100)).$((value % 100 / 10))$((value % 10))" ;;
            bytes-*) value="$(numfmt --to=iec --round=nearest --format=%.2f "${value}")" ;;
            *) ;;
        esac
        shown+=("${value}")
    done
    printf '%-14s %14s %14s %18s\n' "$1" "${shown[@]}"
    # No limit in the policy may still be one that the host sets.
    [[ "$4" != "$5" && ! ("$3" == null && "$5" == max) ]] || return 0
    # The engine counts memory in pages, and what the host has in whole mebibytes.
    [[ "$2" == bytes && "$4$5" =~ ^[0-9]+$ ]] && (($4 >= $5 && $4 - $5 < 1048576))
}
