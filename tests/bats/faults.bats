#!/usr/bin/env bats
# What goes wrong around a command: the engine goes away in the middle, its disk is full, a device is not there.

load helper

setup() {
    setup_ds01
    ENGINE=''
}

teardown() {
    [[ -z "${ENGINE}" || ! -d "${ENGINE}" ]] || "${ROOT}/tests/engine/stop" "${ENGINE}"
    teardown_engine
}

# An engine of this test's own, with the base image in it. Sets: ENGINE, DOCKER_HOST.
own_engine() { # [<option>...]
    local bench_host="${DOCKER_HOST}"
    ENGINE="${BENCH_DIR}/engine-${BATS_SUITE_TEST_NUMBER}"
    DOCKER_HOST="$("${ROOT}/tests/engine/start" "$@" "${ENGINE}")"
    export DOCKER_HOST
    docker --host "${bench_host}" save ds01/debian:bookworm | docker load --quiet
}

# bats test_tags=engine
@test "faults: a host without /dev/snd and /dev/video0 gets a container that starts" {
    [[ ! -e /dev/snd ]] || skip "this host has /dev/snd"
    run -0 "${BIN}/container-run" f1 Debian -- test -d /workspace
    [[ "$(inspect "f1._.${UID}" '{{json .HostConfig.Devices}}')" != *snd* ]]
}

# bats test_tags=engine
@test "faults: an engine that goes away during a create gives one clear error, and a second try works" {
    own_engine
    "${BIN}/container-create" f2 Debian > "${BATS_TEST_TMPDIR}/out" 2>&1 &
    local pid=$! status=0
    # In the middle: mlc is at the engine.
    wait_for 20 pgrep -f 'mlc.py create f2'
    kill -KILL "$(cat "${ENGINE}/pid")"
    wait "${pid}" || status=$?
    cat "${BATS_TEST_TMPDIR}/out"
    [[ "${status}" -ne 0 ]]
    grep -q '^container-create: error: ' "${BATS_TEST_TMPDIR}/out"
    run ! grep -q Traceback "${BATS_TEST_TMPDIR}/out"
    "${ROOT}/tests/engine/stop" "${ENGINE}" || true
    # Another engine, the same state: the record of the dead try is no hindrance.
    DOCKER_HOST="unix://${BENCH_DIR}/engine/docker.sock"
    run -0 "${BIN}/container-create" f2 Debian
}

# bats test_tags=engine
@test "faults: a full disk leaves no container, and the reason is the engine's" {
    own_engine --data-size 700m
    docker run --rm ds01/debian:bookworm true
    # Fill what is left but for a little.
    docker run --name filler ds01/debian:bookworm sh -c "cat /dev/zero > /fill" 2> /dev/null || true
    run --separate-stderr "${BIN}/container-create" f3 Debian
    [[ "${status}" -ne 0 ]]
    [[ "${stderr}" == *'container-create: error: '* ]]
    [[ "${stderr}" == *'no space left on device'* ]]
    [[ "${stderr}" != *Traceback* ]]
    [[ "$(docker ps -aq | wc -l)" -eq 1 ]]
    docker rm -f filler
    run -0 "${BIN}/container-create" f3 Debian
}

# bats test_tags=engine
@test "faults: an export onto a full disk leaves no file" {
    run -0 "${BIN}/container-create" f4 Debian
    mkdir "${BATS_TEST_TMPDIR}/small"
    mount -t tmpfs -o size=50m tmpfs "${BATS_TEST_TMPDIR}/small"
    run --separate-stderr "${BIN}/container-export" f4 "${BATS_TEST_TMPDIR}/small/f4.tar"
    local left
    left="$(find "${BATS_TEST_TMPDIR}/small" -type f)"
    umount "${BATS_TEST_TMPDIR}/small"
    [[ "${status}" -eq 7 ]]
    [[ "${stderr}" == *'o space left on device'* ]]
    [[ "${stderr}" == *"hint: run 'df -h ${BATS_TEST_TMPDIR}/small', or choose another folder" ]]
    [[ -z "${left}" ]]
}

# bats test_tags=engine
@test "faults: where TMPDIR is full, create and image-create say so and end with 7" {
    local small="${BATS_TEST_TMPDIR}/small" name
    mkdir "${small}"
    mount -t tmpfs -o size=64k tmpfs "${small}"
    dd if=/dev/zero of="${small}/fill" bs=4k 2> /dev/null || true
    TMPDIR="${small}" run --separate-stderr "${BIN}/container-create" f6 Debian
    local create=("${status}" "${stderr}")
    TMPDIR="${small}" run --separate-stderr "${BIN}/image-create" f6 --framework Debian --yes
    umount "${small}"
    [[ "${create[0]}" -eq 7 && "${status}" -eq 7 ]]
    for name in "${create[1]}" "${stderr}"; do
        [[ "${name}" == *": error: no space left on device: '${small}'"* ]]
        [[ "${name}" == *": hint: free some; 'df -h ${small}' tells more" ]]
        [[ "${name}" != *Traceback* ]]
    done
    [[ -z "$(docker ps -aq --filter name=f6)" ]]
}

# bats test_tags=engine
@test "faults: a result that cannot be written is told in one error, exit 7" {
    local words
    for words in 'container-list --json' 'gpu-status --json' 'image-list --json' 'container-run --help'; do
        # shellcheck disable=SC2086 # words
        run --separate-stderr bash -c 'exec "$@" > /dev/full' - "${BIN}/"${words}
        [[ "${status}" -eq 7 ]]
        [[ "${#stderr_lines[@]}" -eq 2 ]]
        [[ "${stderr_lines[0]}" == "${words%% *}: error: "* ]]
        [[ "${stderr_lines[1]}" == "${words%% *}: hint: "*df\ -h* ]]
    done
}

# bats test_tags=engine
@test "faults: killing a stop or a remove in the middle leaves what a second call finishes" {
    local verb
    for verb in stop remove; do
        run -0 "${BIN}/container-create" f5 Debian
        run -0 "${BIN}/container-start" f5
        setsid "${BIN}/container-${verb}" f5 --yes --force > /dev/null 2>&1 &
        local pid=$!
        sleep 0.3
        kill -KILL -- "-${pid}" 2> /dev/null || true
        wait "${pid}" 2> /dev/null || true
        run "${BIN}/container-${verb}" f5 --yes --force
        [[ "${status}" -eq 0 || "${status}" -eq 3 ]]
        [[ -z "$(docker ps -q)" ]]
        run "${BIN}/container-remove" f5 --yes --force
    done
    [[ -z "$(docker ps -aq)" ]]
}
