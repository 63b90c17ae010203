#!/usr/bin/env bats
# The helpers for tests with GPUs.

load helper
load gpu_helper

teardown() {
    teardown_gpus
    docker rm --force ds01t-simulated-gpus > /dev/null 2>&1 || true
}

# What pynvml of the venv counts.
count_gpus() {
    "${ROOT}/venv/bin/python3" -sE -c 'import pynvml as n; n.nvmlInit(); print(n.nvmlDeviceGetCount())'
}

@test "simulated GPUs: commands see the GPUs of the test, and none after it" {
    setup_gpus a100-40 a100-80:3g.40gb,1g.10gb
    run -0 count_gpus
    [[ "${output}" == 2 ]]
    [[ "$(gpu_uuid 0)" == GPU-* && "$(gpu_uuid 1 1)" == MIG-* ]]
    change_gpus '.gpus |= .[:1]'
    run -0 count_gpus
    [[ "${output}" == 1 ]]
    teardown_gpus
    run -1 count_gpus
    [[ -z "${LD_LIBRARY_PATH:-}" ]]
}

# bats test_tags=engine
@test "simulated GPUs: a container has the device that it was given" {
    setup_gpus a100-40 a100-40:3g.20gb,1g.5gb
    docker run --detach --rm --network none --name ds01t-simulated-gpus --gpus "device=$(gpu_uuid 1 1)" \
        ds01/debian:bookworm sleep 100
    run -0 gpus_inside ds01t-simulated-gpus
    [[ "${output}" == "$(gpu_uuid 1 1)" ]]
}
