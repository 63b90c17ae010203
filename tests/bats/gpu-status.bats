#!/usr/bin/env bats
# gpu-status: every device, its state and whose it is.

load helper
load gpu_helper

setup() {
    setup_ds01
}

teardown() {
    terminal_stop
    teardown_engine
    teardown_gpus
}

@test "gpu-status: --watch and --json do not go together" {
    run -2 --separate-stderr "${BIN}/gpu-status" --watch --json
    [[ "${stderr_lines[0]}" == *'do not go together' ]]
}

# bats test_tags=engine
@test "gpu-status: says so on a server without GPUs" {
    run -0 --separate-stderr "${BIN}/gpu-status"
    [[ -z "${output}" && "${stderr}" == 'gpu-status: info: no GPU here' ]]
    run -0 --separate-stderr "${BIN}/gpu-status" --json
    jq -e '.devices == [] and .nvml == null' <<< "${output}"
}

# bats test_tags=engine
@test "gpu-status: shows whole GPUs, MIG instances, and a GPU in MIG mode without any" {
    setup_gpus a100-40 a100-40:3g.20gb,1g.5gb a100-80:
    run -0 --separate-stderr "${BIN}/gpu-status"
    [[ "${#lines[@]}" -eq 5 ]]
    [[ "${lines[0]}" == DEVICE*KIND*STATE*USER*CONTAINER*PROCESSES*MEMORY*USE*SINCE*IDLE*UNTIL ]]
    [[ "${lines[1]}" == 0\ *full*free* ]]
    [[ "${lines[2]}" == 1:0*3g.20gb*free* ]]
    [[ "${lines[4]}" == 2\ *full*mig-empty* ]]
    [[ "${stderr}" == *'2 is mig-empty: no MIG instances' ]]
}

# bats test_tags=engine
@test "gpu-status: names user and container, running and held, and --mine only one's own" {
    setup_gpus a100-40:1g.5gb,1g.5gb
    open_ds01
    run -0 as_user alice "${BIN}/container-create" mine Debian --gpus 1
    run -0 as_user bob "${BIN}/container-create" his Debian --gpus 1
    run -0 as_user alice "${BIN}/container-start" mine
    run -0 --separate-stderr "${BIN}/gpu-status"
    [[ "${output}" == *allocated*ds01t-alice*mine* && "${output}" == *allocated*ds01t-bob*his* ]]
    run -0 as_user alice "${BIN}/container-stop" mine
    run -0 --separate-stderr as_user alice "${BIN}/gpu-status" --mine
    [[ "${#lines[@]}" -eq 2 ]]
    [[ "${lines[1]}" == *held*ds01t-alice*mine*in\ 23h ]]
    run -0 as_user alice "${BIN}/container-remove" mine --yes
    run -0 as_user bob "${BIN}/container-remove" his --yes
    run -0 --separate-stderr as_user alice "${BIN}/gpu-status" --mine
    [[ "${stderr}" == *'none of your containers has a GPU' ]]
}

# bats test_tags=engine
@test "gpu-status: one sick GPU hides no other, and the reason is told" {
    setup_gpus a100-40 a100-40
    change_gpus '.gpus[0].lost = true'
    run -0 --separate-stderr "${BIN}/gpu-status"
    [[ "${#lines[@]}" -eq 3 ]]
    [[ "${output}" == *sick* && "${output}" == *free* ]]
    [[ "${stderr}" == *' is sick: '* ]]
    # What is there is still given.
    run -0 "${BIN}/container-create" g1 Debian --gpus 1
}

# bats test_tags=engine
@test "gpu-status: a driver that does not answer is unknown, not empty, and nothing is granted" {
    setup_gpus a100-40
    run -0 "${BIN}/container-create" g2 Debian --gpus 1
    change_gpus '.faults = {nvmlInit: "lib_rm_version_mismatch"}'
    run -0 --separate-stderr "${BIN}/gpu-status"
    [[ "${stderr}" == *'the NVIDIA driver does not answer: '* ]]
    [[ "${output}" != *free* ]]
    run -7 --separate-stderr "${BIN}/container-create" g3 Debian --gpus 1
    [[ "${stderr}" == *'container-create: error: '* ]]
    change_gpus 'del(.faults)'
    run -0 --separate-stderr "${BIN}/gpu-status"
    [[ "${lines[1]}" == *allocated*g2* ]]
}

# bats test_tags=engine
@test "gpu-status: --watch goes on until Ctrl-C" {
    setup_gpus a100-40
    terminal_start "${BIN}/gpu-status" --watch
    # Too wide for 80 columns: what no device has is left out from the right.
    wait_for 20 terminal_shows 'DEVICE  KIND  STATE  USER  CONTAINER  PROCESSES  MEMORY'
    run ! terminal_shows UNTIL
    terminal_keys C-c
    [[ "$(terminal_status)" == 130 ]]
}
