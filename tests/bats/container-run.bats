#!/usr/bin/env bats
# container-run: a shell or a command in a container, made if need be.

load helper
load gpu_helper

setup() {
    setup_ds01
}

teardown() {
    terminal_stop
    teardown_gpus
    teardown_engine
}

is_running() { # <container>
    [[ "$(inspect "$1" '{{.State.Running}}')" == true ]]
}

is_stopped() { # <container>
    [[ "$(inspect "$1" '{{.State.Running}}')" == false ]]
}

@test "container-run: names the missing word where nobody can be asked" {
    run -2 --separate-stderr "${BIN}/container-run" < /dev/null
    [[ "${stderr_lines[0]}" == 'container-run: error: missing NAME' ]]
}

# bats test_tags=engine
@test "container-run: a container that does not exist needs a framework" {
    run -2 --separate-stderr "${BIN}/container-run" r0 -- true < /dev/null
    [[ "${stderr_lines[0]}" == "container-run: error: missing FRAMEWORK (or '--image')" ]]
}

# bats test_tags=engine
@test "container-run: makes the container, runs a command, returns its status, and stops it again" {
    run -42 --separate-stderr "${BIN}/container-run" r1 Debian -- sh -c 'echo out; echo err >&2; exit 42'
    [[ "${output}" == out ]]
    [[ "${stderr_lines[-1]}" == err ]]
    is_stopped "r1._.${UID}"
    # A second run of the same container makes nothing new.
    run -0 --separate-stderr "${BIN}/container-run" r1 -- id -u
    [[ "${output}" == "${UID}" && -z "${stderr}" ]]
}

# bats test_tags=engine
@test "container-run: stdin and stdout are the command's, byte for byte" {
    head -c 3000000 /dev/urandom > "${BATS_TEST_TMPDIR}/in"
    "${BIN}/container-run" r2 Debian --quiet -- cat < "${BATS_TEST_TMPDIR}/in" > "${BATS_TEST_TMPDIR}/out" 2> "${BATS_TEST_TMPDIR}/err"
    cmp "${BATS_TEST_TMPDIR}/in" "${BATS_TEST_TMPDIR}/out"
}

# bats test_tags=engine
@test "container-run: words reach the command unchanged" {
    run -0 --separate-stderr "${BIN}/container-run" r3 Debian -- printf '<%s>' 'a b' '' "\$HOME" '*' -- --help
    [[ "${output}" == "<a b><><\$HOME><*><--><--help>" ]]
}

# bats test_tags=engine
@test "container-run: the limits hold inside" {
    cat > "${DS01_ROOT}/etc/ds01/resource-limits.yaml" << 'END'
version: 1
default_group: everybody
defaults: {max_cpus: 0.5, memory: 300m, memory_swap: 300m, shm_size: 48m, pids_limit: 77}
groups:
  everybody: {}
END
    run -0 --separate-stderr "${BIN}/container-run" r4 Debian -- sh -c '
        cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2> /dev/null || cat /sys/fs/cgroup/memory.max
        cat /sys/fs/cgroup/pids/pids.max 2> /dev/null || cat /sys/fs/cgroup/pids.max
        cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2> /dev/null || cut -d " " -f 1 /sys/fs/cgroup/cpu.max
        df -B1 --output=size /dev/shm | tail -n 1 | tr -d " "'
    [[ "${lines[0]}" == 314572800 ]]
    [[ "${lines[1]}" == 77 ]]
    [[ "${lines[2]}" == 50000 ]]
    [[ "${lines[3]}" == 50331648 ]]
}

# bats test_tags=engine
@test "container-run: files of the command belong to the user, in the workspace" {
    open_ds01
    run -0 as_user alice "${BIN}/container-run" r5 Debian -- sh -c 'pwd; touch made-inside; id -un'
    [[ "${output}" == */workspace*ds01t-alice ]]
    [[ "$(stat -c %u "$(bench_user alice home)/workspace/made-inside")" == "$(bench_user alice uid)" ]]
    run -0 as_user alice "${BIN}/container-remove" r5 --yes
}

# bats test_tags=engine
@test "container-run: a signal reaches the command, and nothing is left running" {
    "${BIN}/container-run" r6 Debian -- sh -c 'trap "echo ended; exit 7" TERM; echo ready; while :; do sleep 0.1; done' \
        > "${BATS_TEST_TMPDIR}/out" 2> "${BATS_TEST_TMPDIR}/err" &
    local pid=$! status=0
    wait_for 30 grep -q ready "${BATS_TEST_TMPDIR}/out"
    kill -TERM "${pid}"
    wait "${pid}" || status=$?
    [[ "${status}" -eq 7 ]]
    grep -q ended "${BATS_TEST_TMPDIR}/out"
    is_stopped "r6._.${UID}"
}

# bats test_tags=engine
@test "container-run: the container goes on while another command runs in it" {
    "${BIN}/container-run" r7 Debian -- sh -c 'echo ready; until [ -e go ]; do sleep 0.1; done; echo still-here' \
        > "${BATS_TEST_TMPDIR}/out" 2>&1 &
    local pid=$!
    wait_for 30 grep -q ready "${BATS_TEST_TMPDIR}/out"
    run -0 --separate-stderr "${BIN}/container-run" r7 -- echo short
    [[ "${output}" == short ]]
    is_running "r7._.${UID}"
    touch "${HOME}/workspace/go"
    wait "${pid}"
    grep -q still-here "${BATS_TEST_TMPDIR}/out"
    is_stopped "r7._.${UID}"
}

# bats test_tags=engine
@test "container-run: many short commands at once all work" {
    run -0 "${BIN}/container-create" r8 Debian
    local i pids=() failed=0
    for i in {1..8}; do
        "${BIN}/container-run" r8 -- echo "n${i}" >> "${BATS_TEST_TMPDIR}/out" 2>> "${BATS_TEST_TMPDIR}/err" &
        pids+=($!)
    done
    for i in "${pids[@]}"; do
        wait "${i}" || failed=$((failed + 1))
    done
    cat "${BATS_TEST_TMPDIR}/err"
    [[ "${failed}" -eq 0 ]]
    [[ "$(sort -u "${BATS_TEST_TMPDIR}/out" | wc -l)" -eq 8 ]]
    is_stopped "r8._.${UID}"
}

# bats test_tags=engine
@test "container-run: options for making are not used on a container that is there, and it says so" {
    run -0 "${BIN}/container-create" r9 Debian
    run -0 --separate-stderr "${BIN}/container-run" r9 --gpus 1 -- true
    [[ "${stderr}" == *"container-run: warning: container 'r9' is there already"* ]]
}

# bats test_tags=engine
@test "container-run: a name that is nearly that of a container may mean it" {
    run -0 "${BIN}/container-create" thesis Debian
    run -2 --separate-stderr "${BIN}/container-run" thesi -- true < /dev/null
    [[ "${stderr_lines[0]}" == "container-run: error: missing FRAMEWORK (or '--image') for a new container 'thesi'" ]]
    [[ "${stderr_lines[1]}" == "container-run: hint: did you mean your container 'thesis'?" ]]
    terminal_start_and_stay "${BIN}/container-run" thesi -- echo here
    wait_for 20 terminal_shows "You have no container 'thesi'"
    terminal_keys Enter
    wait_for 20 terminal_shows 'the same in one line: container-run thesis -- echo here'
    [[ "$(terminal_status)" == 0 ]]
    # The next of several is not taken for a slip.
    run -0 "${BIN}/container-create" thesis1 Debian
    run -2 --separate-stderr "${BIN}/container-run" thesis2 -- true < /dev/null
    [[ "${stderr_lines[0]}" == "container-run: error: missing FRAMEWORK (or '--image')" ]]
}

# bats test_tags=engine
@test "container-run: a command without '--' is no framework, and the line with it is told" {
    local hint="container-run: hint: run 'container-run r10 -- python3 train.py"
    run -3 --separate-stderr "${BIN}/container-run" r10 python3 train.py
    [[ "${stderr_lines[0]}" == "container-run: error: framework 'python3' not found; known are Debian,"* ]]
    [[ "${stderr_lines[1]}" == "${hint}'" ]]
    run -3 --separate-stderr "${BIN}/container-run" r10 Debain
    [[ "${stderr_lines[1]}" == "container-run: hint: did you mean 'Debian'?" ]]
    run -0 "${BIN}/container-create" r10 Debian
    run -2 --separate-stderr "${BIN}/container-run" r10 python3 train.py
    [[ "${stderr_lines[0]}" == "container-run: error: container 'r10' is there already, and 'python3' is no framework" ]]
    [[ "${stderr_lines[1]}" == "${hint}'" ]]
    run -2 --separate-stderr "${BIN}/container-run" r10 python3 train.py --epochs 3
    [[ "${stderr_lines[1]}" == "${hint} --epochs 3'" ]]
    run -2 --separate-stderr "${BIN}/container-run" -q r10 python3 train.py one two
    [[ "${stderr_lines[1]}" == "container-run: hint: run 'container-run -q r10 -- python3 train.py one two'" ]]
    run -2 --separate-stderr "${BIN}/container-run" r10 Debian --gpsu 1
    [[ "${stderr_lines[1]}" == "container-run: hint: did you mean '--gpus'?" ]]
    # What made it may stand there again.
    run -0 --separate-stderr "${BIN}/container-run" r10 Debian < /dev/null
    [[ "${stderr}" == *"container 'r10' is there already; the options for making it are not used"* ]]
}

# bats test_tags=engine
@test "container-run: opens a shell in a terminal, and stops the container when it ends" {
    terminal_start "${BIN}/container-run" r10 Debian
    wait_for 30 terminal_shows '[r10]'
    terminal_keys 'echo in-$((6*7)); pwd' Enter
    wait_for 10 terminal_shows 'in-42'
    terminal_shows '/workspace'
    terminal_keys 'exit 5' Enter
    [[ "$(terminal_status)" == 5 ]]
    is_stopped "r10._.${UID}"
}

# bats test_tags=engine
@test "container-run: Ctrl-C in a terminal reaches the command inside" {
    run -0 "${BIN}/container-create" r11 Debian
    terminal_start "${BIN}/container-run" r11 -- sh -c 'echo ready; sleep 100'
    wait_for 30 terminal_shows ready
    terminal_keys C-c
    [[ "$(terminal_status)" == 130 ]]
    is_stopped "r11._.${UID}"
}

# bats test_tags=engine
@test "container-run: a command that does not exist gives 127" {
    run -127 "${BIN}/container-run" r13 Debian -- no-such-program
}

# bats test_tags=engine
@test "container-run: site hooks run around it, also for a container that is there" {
    local hooks="${DS01_ROOT}/etc/ds01/hooks.d/container-run"
    run -0 "${BIN}/container-create" r14 Debian
    mkdir -p "${hooks}"
    printf '#!/bin/sh\ncat >> "%s/pre"\n' "${BATS_TEST_TMPDIR}" > "${hooks}/pre-1"
    printf '#!/bin/sh\ncat >> "%s/post"\n' "${BATS_TEST_TMPDIR}" > "${hooks}/post-1"
    chmod +x "${hooks}"/*
    run -3 --separate-stderr "${BIN}/container-run" r14 -- sh -c 'echo result; exit 3'
    [[ "${output}" == result ]]
    jq -es 'length == 1 and .[0].name == "r14"' "${BATS_TEST_TMPDIR}/pre"
    jq -es 'length == 1 and .[0].status == 3' "${BATS_TEST_TMPDIR}/post"
    # Made and used in one command: the hooks still run once.
    run -0 "${BIN}/container-run" r15 Debian -- true
    jq -es 'length == 2 and .[1].framework == "Debian"' "${BATS_TEST_TMPDIR}/pre"
}

# bats test_tags=engine
@test "container-run: a command whose reader went away ends, and the container with it" {
    run -0 "${BIN}/container-create" r16 Debian
    "${BIN}/container-run" r16 -- sh -c 'while :; do echo y; done' 2> /dev/null < /dev/null | head -n 1
    wait_for 15 is_stopped "r16._.${UID}"
}

# bats test_tags=engine
@test "container-run: works without HOME, as a system service has it" {
    run -0 --separate-stderr env -u HOME "${BIN}/container-run" r17 Debian -w "${BATS_TEST_TMPDIR}/höme dir" -- pwd
    [[ "${output}" == /workspace ]]
}

# bats test_tags=engine
@test "container-run: a hook that the user may not run is not passed by" {
    open_ds01
    run -0 as_user alice "${BIN}/container-create" r18 Debian
    mkdir -p "${DS01_ROOT}/etc/ds01/hooks.d/container-run"
    printf '#!/bin/sh\nexit 1\n' > "${DS01_ROOT}/etc/ds01/hooks.d/container-run/pre-deny"
    chmod 755 "${DS01_ROOT}/etc/ds01/hooks.d" "${DS01_ROOT}/etc/ds01/hooks.d/container-run"
    chmod 700 "${DS01_ROOT}/etc/ds01/hooks.d/container-run/pre-deny"
    run -6 --separate-stderr as_user alice "${BIN}/container-run" r18 -- true
    [[ "${stderr}" == *"pre-deny' cannot be run by you"* ]]
    rm -r "${DS01_ROOT}/etc/ds01/hooks.d/container-run"
    run -0 as_user alice "${BIN}/container-remove" r18 --yes
}

# A copy of this installation whose Pythons and docker clients each leave a line in FILE. Sets: counted, its folder.
counting_copy() { # <file>
    local name
    counted="${BATS_TEST_TMPDIR}/counted"
    mkdir -p -- "${counted}/venv/bin" "${counted}/path"
    cp -a -- "${ROOT}/bin" "${ROOT}/lib" "${counted}"
    for name in python config templates aime-ml-containers; do
        ln -s -- "${ROOT}/${name}" "${counted}/${name}"
    done
    for name in venv/bin/python3 path/python3 path/docker; do
        printf '#!/bin/sh\necho %s >> "%s"\nexec "%s" "$@"\n' "${name##*/}" "$1" "$(type -P "${name##*/}")" \
            > "${counted}/${name}"
        chmod 755 "${counted}/${name}"
    done
}

# bats test_tags=engine
@test "container-run: making a container and running a command in it starts ten Pythons and six docker clients at most" {
    local starts="${BATS_TEST_TMPDIR}/starts" counted
    setup_gpus a100-40
    counting_copy "${starts}"
    PATH="${counted}/path:${PATH}" run -0 "${counted}/bin/container-run" many Debian --gpus 1 -- true
    cat -- "${starts}"
    (($(grep -c python3 "${starts}") <= 10 && $(grep -c docker "${starts}") <= 6))
    # The counter counts: none of both does none of this.
    grep -q python3 "${starts}" && grep -q docker "${starts}"
}
