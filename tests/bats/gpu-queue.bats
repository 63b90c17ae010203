#!/usr/bin/env bats
# gpu-queue and --wait: who waits, gets it next, or leaves.

load helper
load gpu_helper

setup() {
    setup_ds01
}

teardown() {
    terminal_stop
    # It would take what the others leave.
    [[ -z "${WAITER:-}" ]] || { kill "${WAITER}" 2> /dev/null && wait "${WAITER}" || true; }
    teardown_engine
    teardown_gpus
}

# Has a process of this shell ended?
ended() { # <pid>
    ! kill -0 "$1" 2> /dev/null
}

queue_has() { # <number of requests>
    [[ "$("${BIN}/gpu-queue" --json | jq '.queue | length')" == "$1" ]]
}

@test "gpu-queue: refuses wrong words" {
    run -2 --separate-stderr "${BIN}/gpu-queue" leave
    [[ "${stderr_lines[0]}" == "gpu-queue: error: unexpected word 'leave'" ]]
    run -2 --separate-stderr "${BIN}/gpu-queue" cancel
    [[ "${stderr_lines[0]}" == 'gpu-queue: error: missing NAME' ]]
}

# bats test_tags=engine
@test "gpu-queue: is empty where nobody waits" {
    setup_gpus a100-40
    run -0 --separate-stderr "${BIN}/gpu-queue"
    [[ -z "${output}" && "${stderr}" == 'gpu-queue: info: nobody waits' ]]
    run -3 --separate-stderr "${BIN}/gpu-queue" cancel x
    [[ "${stderr_lines[0]}" == *"no request of yours for 'x' waits" ]]
}

# bats test_tags=engine
@test "gpu-queue: who waits gets the GPU when it is released" {
    setup_gpus a100-40
    run -0 "${BIN}/container-create" first Debian --gpus 1
    "${BIN}/container-create" second Debian --gpus 1 --wait > "${BATS_TEST_TMPDIR}/out" 2>&1 &
    WAITER=$!
    wait_for 20 queue_has 1
    run -0 --separate-stderr "${BIN}/gpu-queue"
    [[ "${lines[0]}" == PLACE*REQUEST*PRIORITY*WAITING*USER*CONTAINER*NEEDS ]]
    [[ "${lines[1]}" == 1\ *second* ]]
    grep -q 'place 1 in the queue' "${BATS_TEST_TMPDIR}/out"
    run -0 "${BIN}/container-remove" first --yes
    wait_for 20 ended "${WAITER}"
    wait "${WAITER}"
    grep -q '^container  second' "${BATS_TEST_TMPDIR}/out"
    queue_has 0
}

# bats test_tags=engine
@test "gpu-queue: Ctrl-C leaves the queue" {
    setup_gpus a100-40
    run -0 "${BIN}/container-create" first Debian --gpus 1
    terminal_start_and_stay "${BIN}/container-create" second Debian --gpus 1 --wait
    wait_for 20 queue_has 1
    terminal_keys C-c
    [[ "$(terminal_status)" == 130 ]]
    queue_has 0
    wait_for 5 terminal_shows 'info: left the queue'
    run ! docker inspect "second._.${UID}"
    # Started anew, a container waits without mlc.
    run -0 "${BIN}/container-create" third Debian
    terminal_stop
    rm -- "${BATS_TEST_TMPDIR}/terminal-status"
    terminal_start_and_stay "${BIN}/container-start" third --gpus 1 --wait
    wait_for 20 queue_has 1
    terminal_keys C-c
    [[ "$(terminal_status)" == 130 ]]
    queue_has 0
    wait_for 5 terminal_shows 'info: left the queue'
}

# bats test_tags=engine
@test "gpu-queue: who is to end leaves the queue" {
    setup_gpus a100-40
    run -0 "${BIN}/container-create" first Debian --gpus 1
    setsid "${BIN}/container-create" second Debian --gpus 1 --wait > "${BATS_TEST_TMPDIR}/out" 2>&1 &
    WAITER=$!
    local status=0
    wait_for 20 queue_has 1
    kill -TERM -- "-${WAITER}"
    wait_for 20 ended "${WAITER}"
    wait "${WAITER}" || status=$?
    WAITER=''
    [[ "${status}" -eq 143 ]]
    queue_has 0
    [[ "$(grep -c 'left the queue' "${BATS_TEST_TMPDIR}/out")" == 1 ]]
}

# bats test_tags=engine
@test "gpu-queue: cancel takes a request out, and who waited is told" {
    setup_gpus a100-40
    run -0 "${BIN}/container-create" first Debian --gpus 1
    "${BIN}/container-create" second Debian --gpus 1 --wait > "${BATS_TEST_TMPDIR}/out" 2>&1 &
    WAITER=$!
    local status=0
    wait_for 20 queue_has 1
    run -0 --separate-stderr "${BIN}/gpu-queue" cancel second
    [[ "${stderr}" == *"your request for 'second' is out of the queue" ]]
    wait "${WAITER}" || status=$?
    cat "${BATS_TEST_TMPDIR}/out"
    [[ "${status}" -ne 0 ]]
    grep -q '^container-create: error: ' "${BATS_TEST_TMPDIR}/out"
}

# bats test_tags=engine
@test "gpu-queue: --wait=DURATION ends with 5 when the time is over" {
    setup_gpus a100-40
    run -0 "${BIN}/container-create" first Debian --gpus 1
    run -5 --separate-stderr "${BIN}/container-create" second Debian --gpus 1 --wait=2s
    [[ "${stderr}" == *'container-create: error: '* ]]
    queue_has 0
    run -2 --separate-stderr "${BIN}/container-create" second Debian --gpus 1 --wait=2
    [[ "${stderr}" == *"'2' is not a time to wait"* ]]
}

# bats test_tags=engine
@test "gpu-queue: others see names where the policy shows them" {
    setup_gpus a100-40
    sed -i 's/^  show_names: false$/  show_names: true/' "${DS01_ROOT}/etc/ds01/resource-limits.yaml"
    open_ds01
    run -0 "${BIN}/container-create" first Debian --gpus 1
    as_user alice "${BIN}/container-create" shown Debian --gpus 1 --wait > /dev/null 2>&1 &
    WAITER=$!
    wait_for 20 queue_has 1
    run -0 --separate-stderr as_user bob "${BIN}/gpu-queue"
    [[ "${lines[1]}" == *alice*shown* ]]
    run -0 --separate-stderr as_user bob "${BIN}/gpu-queue" --json
    jq -e '.queue[0] | .container == "shown._.\(.uid)" and (.user | contains("alice"))
        and (has("owner") | not)' <<< "${output}"
    run -5 --separate-stderr as_user bob "${BIN}/container-create" mine Debian --gpus 1 --wait=1s
    [[ "${stderr}" == *"place 2 in the queue for '1', after '1' of priority "*" ("*alice*": 'shown')"* ]]
    run -3 as_user bob "${BIN}/gpu-queue" cancel shown
    run -0 as_user alice "${BIN}/gpu-queue" cancel shown
    wait "${WAITER}" || true
}

# bats test_tags=engine
@test "gpu-queue: others see a request in kind, not by name" {
    setup_gpus a100-40
    open_ds01
    run -0 "${BIN}/container-create" first Debian --gpus 1
    as_user alice "${BIN}/container-create" secret Debian --gpus 1 --wait > /dev/null 2>&1 &
    WAITER=$!
    wait_for 20 queue_has 1
    run -0 --separate-stderr as_user bob "${BIN}/gpu-queue"
    [[ "${lines[1]}" != *alice* && "${lines[1]}" != *secret* ]]
    run -0 --separate-stderr as_user bob "${BIN}/gpu-queue" --json
    jq -e '.queue[0] | has("user") or has("container") | not' <<< "${output}"
    run -3 as_user bob "${BIN}/gpu-queue" cancel secret
    run -0 as_user alice "${BIN}/gpu-queue" --mine
    [[ "${output}" == *secret* ]]
    run -0 as_user alice "${BIN}/gpu-queue" cancel secret
    wait "${WAITER}" || true
}
