#!/usr/bin/env bats
# GPUs from the command to the inside of a container: exactly what was granted, and nothing else.

load helper
load gpu_helper

setup() {
    setup_ds01
}

teardown() {
    teardown_engine
    teardown_gpus
}

# The policy of these tests: everybody may have whole GPUs, and a stopped container keeps them.
policy() { # <key: value>...
    printf 'version: 1\ndefault_group: everybody\ngroups: {everybody: {}}\ndefaults:\n' > "${DS01_ROOT}/etc/ds01/resource-limits.yaml"
    local line
    for line in "$@" 'max_gpus: 4' 'max_gpus_per_container: 4' 'allow_full_gpu: true'; do
        # What a test says itself comes first and counts.
        grep -q "^  ${line%%:*}:" "${DS01_ROOT}/etc/ds01/resource-limits.yaml" \
            || printf '  %s\n' "${line}" >> "${DS01_ROOT}/etc/ds01/resource-limits.yaml"
    done
}

# bats test_tags=engine
@test "gpus: a container sees exactly the devices that it was granted" {
    setup_gpus a100-40 a100-40:3g.20gb,1g.5gb
    policy
    run -0 "${BIN}/container-create" p1 Debian --gpus 3g.20gb
    run -0 "${BIN}/container-start" p1
    [[ "$(gpus_inside "p1._.${UID}")" == "$(gpu_uuid 1 0)" ]]
    run -0 "${BIN}/container-create" p2 Debian --gpus full
    run -0 "${BIN}/container-start" p2
    [[ "$(gpus_inside "p2._.${UID}")" == "$(gpu_uuid 0)" ]]
    run -0 --separate-stderr docker exec "p2._.${UID}" printenv CUDA_DEVICE_ORDER
    [[ "${output}" == PCI_BUS_ID ]]
    run -0 "${BIN}/container-create" p3 Debian --gpus none
    run -0 "${BIN}/container-start" p3
    [[ -z "$(gpus_inside "p3._.${UID}")" ]]
    run -0 --separate-stderr "${BIN}/container-list"
    [[ "${output}" == *p1*3g.20gb* && "${output}" == *p2*full* && "${output}" == *p3*none* ]]
}

# bats test_tags=engine
@test "gpus: by memory, the smallest device that has it" {
    setup_gpus a100-40:3g.20gb,2g.10gb,1g.5gb
    policy
    run -0 --separate-stderr "${BIN}/container-create" m1 Debian --gpu-mem 8g
    [[ "${output}" == *'gpus       2g.10gb'* ]]
    run -2 --separate-stderr "${BIN}/container-create" m2 Debian --gpu-mem 8
    [[ "${stderr}" == *"GPU memory '8' has no unit"* ]]
    run -2 --separate-stderr "${BIN}/container-create" m2 Debian --gpu-mem 8g --gpus 1
    [[ "${stderr}" == *'not both'* ]]
}

# bats test_tags=engine
@test "gpus: a refusal says which rule, both numbers, and what to do" {
    setup_gpus a100-40:1g.5gb,1g.5gb,1g.5gb
    policy 'max_mig_instances: 1'
    run -0 "${BIN}/container-create" q1 Debian --gpus 1
    run -4 --separate-stderr "${BIN}/container-create" q2 Debian --gpus 1
    [[ "${stderr}" == *'container-create: error: '*' 1'* && "${stderr}" == *'container-create: hint: '* ]]
    run ! docker inspect "q2._.${UID}"
    # A stopped container's devices count as well.
    run -0 "${BIN}/container-start" q1
    run -0 "${BIN}/container-stop" q1
    run -4 "${BIN}/container-create" q2 Debian --gpus 1
    jq -es 'map(select(.type == "refuse")) | length >= 2 and all(.rule == "max_mig_instances")' \
        "${DS01_ROOT}/var/log/ds01/gpu-allocations.log"
}

# bats test_tags=engine
@test "gpus: no GPU free ends with 5 and names who can be asked" {
    setup_gpus a100-40
    policy
    run -0 "${BIN}/container-create" n1 Debian --gpus 1
    run -5 --separate-stderr "${BIN}/container-create" n2 Debian --gpus 1
    [[ "${stderr}" == *"no GPU is free for '1'"* && "${stderr}" == *"'--wait'"* ]]
    run ! docker inspect "n2._.${UID}"
}

# bats test_tags=engine
@test "gpus: a server without GPUs gives a container without, and says so" {
    run -0 --separate-stderr "${BIN}/container-create" w1 Debian --gpus 1
    [[ "${stderr}" == *'this server has no GPU: the container runs without'* ]]
}

# bats test_tags=engine
@test "gpus: stopped and started again, it has the same devices" {
    setup_gpus a100-40 a100-40
    policy
    run -0 "${BIN}/container-create" s1 Debian --gpus 1
    run -0 "${BIN}/container-start" s1
    local before
    before="$(gpus_inside "s1._.${UID}")"
    run -0 "${BIN}/container-stop" s1
    run -0 "${BIN}/container-start" s1
    [[ "$(gpus_inside "s1._.${UID}")" == "${before}" ]]
}

# bats test_tags=engine
@test "gpus: after its hold a container is moved to other devices with all that is its own" {
    setup_gpus a100-40 a100-40
    policy 'gpu_hold_after_stop: 0s'
    run -0 "${BIN}/container-run" h1 Debian --gpus 1 -- sh -c 'echo kept > ~/file; echo more | sudo tee /opt/file'
    local taken other
    taken="$(inspect "h1._.${UID}" '{{index .Config.Labels "ds01.gpus"}}')"
    run -0 "${BIN}/container-create" h2 Debian --gpus "device=${taken}"
    run -0 --separate-stderr "${BIN}/container-start" h1
    [[ "${stderr}" == *'its GPUs went to others meanwhile'* ]]
    other="$(gpus_inside "h1._.${UID}")"
    [[ -n "${other}" && "${other}" != "${taken}" ]]
    run -0 --separate-stderr "${BIN}/container-run" h1 -- sh -c 'cat ~/file /opt/file; pwd'
    [[ "${lines[0]}" == kept && "${lines[1]}" == more && "${lines[2]}" == /workspace ]]
    [[ "$(inspect "h1._.${UID}" '{{index .Config.Labels "ds01.gpus"}}')" == "${other}" ]]
    [[ "$(inspect "h1._.${UID}" '{{index .Config.Labels "aime.mlc.NAME"}}')" == h1 ]]
    [[ "$(docker ps -aq | wc -l)" -eq 2 ]]
}

# bats test_tags=engine
@test "gpus: after its hold, with no device left, a start ends with 5 and nothing is lost" {
    setup_gpus a100-40
    policy 'gpu_hold_after_stop: 0s'
    run -0 "${BIN}/container-run" f1 Debian --gpus 1 -- sh -c 'echo kept > ~/file'
    run -0 "${BIN}/container-create" f2 Debian --gpus 1
    run -5 --separate-stderr "${BIN}/container-start" f1
    [[ "${stderr}" == *'container-start: error: '* ]]
    run -0 "${BIN}/container-remove" f2 --yes
    run -0 --separate-stderr "${BIN}/container-run" f1 -- sh -c 'cat ~/file; ls /dev/nvidia-sim'
    [[ "${lines[0]}" == kept && "${lines[1]}" == GPU-* ]]
}

# bats test_tags=engine
@test "gpus: kill -9 in the middle of a move loses neither files nor devices" {
    setup_gpus a100-40 a100-40
    policy 'gpu_hold_after_stop: 0s'
    run -0 "${BIN}/container-run" k1 Debian --gpus 1 -- sh -c 'echo kept > ~/file'
    local taken delay pid
    taken="$(inspect "k1._.${UID}" '{{index .Config.Labels "ds01.gpus"}}')"
    run -0 "${BIN}/container-create" k2 Debian --gpus "device=${taken}"
    for delay in 0.3 0.45 0.55 0.65 0.8; do
        setsid "${BIN}/container-start" k1 > /dev/null 2>&1 &
        pid=$!
        sleep "${delay}"
        kill -KILL -- "-${pid}" 2> /dev/null || true
        wait "${pid}" 2> /dev/null || true
    done
    run -0 --separate-stderr "${BIN}/container-run" k1 -- sh -c 'cat ~/file'
    [[ "${output}" == kept ]]
    [[ "$(docker ps -aq | wc -l)" -eq 2 ]]
    run -0 --separate-stderr "${BIN}/gpu-status" --json
    jq -e '[.devices[].grant.container] | unique | length == 2' <<< "${output}"
}

# bats test_tags=engine
@test "gpus: kill -9 of a create leaks no device" {
    setup_gpus a100-40
    policy
    export TMPDIR="${BATS_TEST_TMPDIR}"
    local delay pid
    for delay in 0.4 0.5 0.6 0.7 0.85 1.0; do
        setsid "${BIN}/container-create" c1 Debian --gpus 1 > /dev/null 2>&1 &
        pid=$!
        sleep "${delay}"
        kill -KILL -- "-${pid}" 2> /dev/null || true
        wait "${pid}" 2> /dev/null || true
        run "${BIN}/container-create" c1 Debian --gpus 1
        [[ "${status}" -eq 0 || "${output}" == *"you already have a container 'c1'"* ]]
        run -0 "${BIN}/container-remove" c1 --yes
    done
    run -0 --separate-stderr "${BIN}/gpu-status"
    [[ "${lines[1]}" == *free* ]]
}

# bats test_tags=engine
@test "gpus: the docker command behind the gateway ends in the same rules" {
    setup_gpus a100-40 a100-40
    policy 'max_gpus: 1'
    local gateway=("${ROOT}/venv/bin/python3" -sE "${ROOT}/python/docker_gateway.py" run --)
    run -0 --separate-stderr "${gateway[@]}" docker run --rm --network none --gpus all ds01/debian:bookworm ls /dev/nvidia-sim
    [[ "${#lines[@]}" -eq 1 && "${output}" == GPU-* ]]
    run --separate-stderr "${gateway[@]}" docker run --rm --network none --gpus 2 ds01/debian:bookworm true
    [[ "${status}" -ne 0 && "${stderr}" == *'ds01: '*max_gpus* || "${stderr}" == *'ds01: '*quota* || "${stderr}" == *'ds01: '*GPU* ]]
    run -0 --separate-stderr "${gateway[@]}" docker run --rm --network none --gpus "device=$(gpu_uuid 1)" ds01/debian:bookworm ls /dev/nvidia-sim
    [[ "${output}" == "$(gpu_uuid 1)" ]]
    # An environment variable is no way to a GPU.
    run -0 --separate-stderr "${gateway[@]}" docker run --rm --network none -e NVIDIA_VISIBLE_DEVICES=all ds01/debian:bookworm sh -c 'ls /dev/nvidia-sim 2> /dev/null; echo finished'
    [[ "${output}" == finished ]]
    # All of them were removed with their containers.
    run -0 --separate-stderr "${BIN}/gpu-status" --json
    jq -e 'all(.devices[]; .state == "free")' <<< "${output}"
}

# bats test_tags=engine
@test "gpus: what is used outside DS01 is foreign: reported, never granted, never touched" {
    setup_gpus a100-40 a100-40
    policy
    docker run -d --name foreign --network none --gpus "device=$(gpu_uuid 0)" ds01/debian:bookworm sleep 300
    run -0 "${BIN}/container-create" x1 Debian --gpus 1
    [[ "$(inspect "x1._.${UID}" '{{index .Config.Labels "ds01.gpus"}}')" == "$(gpu_uuid 1)" ]]
    run -5 "${BIN}/container-create" x2 Debian --gpus 1
    run -0 --separate-stderr "${BIN}/gpu-status"
    [[ "${lines[1]}" == *foreign*foreign* ]]
    [[ "$(inspect foreign '{{.State.Running}}')" == true ]]
    docker rm -f foreign
}

# bats test_tags=engine
@test "gpus: a reservation ahead is told to who would run into it, and closes its devices in its window" {
    setup_gpus a100-40
    open_ds01
    reserve() { # <start> <end>
        printf '%s\n' 'version: 1' 'default_group: everybody' 'groups: {everybody: {}}' \
            'defaults: {max_gpus: 1, allow_full_gpu: true, max_runtime: 168h}' \
            "reservations: [{name: exam, users: [ds01t-bob], gpus: 1, start: $1, end: $2, reason: test}]" \
            > "${DS01_ROOT}/etc/ds01/resource-limits.yaml"
        run -0 "${BIN}/ds01-config" check
    }
    at() { date -u -d "$1" +%Y-%m-%dT%H:%MZ; }
    reserve "$(at '+1 day')" "$(at '+2 days')"
    run -0 --separate-stderr as_user alice "${BIN}/container-create" v1 Debian --gpus 1
    [[ "${stderr}" == *'warning: '*exam* ]]
    run -0 as_user alice "${BIN}/container-remove" v1 --yes
    reserve "$(at '-1 hour')" "$(at '+1 hour')"
    run --separate-stderr as_user alice "${BIN}/container-create" v2 Debian --gpus 1
    [[ "${status}" -eq 4 || "${status}" -eq 5 ]]
    [[ "${stderr}" == *'container-create: error: '* ]]
    run -0 as_user bob "${BIN}/container-create" v3 Debian --gpus 1
    run -0 as_user bob "${BIN}/container-remove" v3 --yes
}

# bats test_tags=engine
@test "gpus: a device that is not clean is not given to the next" {
    setup_gpus a100-40
    policy
    run -0 "${BIN}/container-create" d1 Debian --gpus 1
    # A worker that outlives its container: a process of this host still on the device.
    sleep 60 &
    local worker=$!
    change_gpus --argjson pid "${worker}" '.gpus[0].processes = [{pid: $pid, memory_mib: 100, while_alive: true}]'
    run -0 "${BIN}/container-remove" d1 --yes
    run -0 --separate-stderr "${BIN}/gpu-status"
    [[ "${lines[1]}" == *dirty* || "${lines[1]}" == *foreign* ]]
    run -5 "${BIN}/container-create" d2 Debian --gpus 1
    # Nobody kills it; when it ends the device is free again.
    kill -0 "${worker}"
    kill "${worker}"
    wait "${worker}" 2> /dev/null || true
    run -0 "${BIN}/container-create" d2 Debian --gpus 1
}

# bats test_tags=engine
@test "gpus: a MIG layout made anew loses grants, and a start gives the container other devices" {
    setup_gpus a100-40:1g.5gb,1g.5gb
    policy
    run -0 "${BIN}/container-run" l1 Debian --gpus 1 -- sh -c 'echo kept > ~/file'
    "${ROOT}/venv/bin/python3" -c '
import json, sys
sys.path.insert(0, sys.argv[2])
import fake_gpus
path = sys.argv[1]
topology = json.load(open(path))
fake_gpus.remake(topology, 0, ["2g.10gb", "1g.5gb"], "again")
fake_gpus.write(path, topology)' \
        "${FAKE_NVML_TOPOLOGY}" "${ROOT}/tests/python"
    run -0 --separate-stderr "${BIN}/gpu-status"
    [[ "${output}" == *lost* ]]
    run -0 --separate-stderr "${BIN}/container-run" l1 -- sh -c 'cat ~/file'
    [[ "${output}" == kept ]]
    [[ "$(inspect "l1._.${UID}" '{{index .Config.Labels "ds01.gpus"}}')" == "$(gpu_uuid 0 1)" ]]
}

# bats test_tags=engine
@test "gpus: a start with another request moves the container, and a refused one leaves it as it was" {
    setup_gpus a100-40 a100-40:3g.20gb,1g.5gb
    policy
    run -0 "${BIN}/container-run" t1 Debian --gpus 1g.5gb -- sh -c 'echo kept > ~/file'
    run -0 --separate-stderr "${BIN}/container-start" t1 --gpus 3g.20gb
    [[ "$(gpus_inside "t1._.${UID}")" == "$(gpu_uuid 1 0)" ]]
    run -0 "${BIN}/container-stop" t1
    run ! "${BIN}/container-start" t1 --gpus 7g.40gb
    run -2 "${BIN}/container-start" t1 --wait=abc
    run -0 "${BIN}/container-start" t1
    [[ "$(gpus_inside "t1._.${UID}")" == "$(gpu_uuid 1 0)" ]]
    run -0 --separate-stderr "${BIN}/container-run" t1 -- sh -c 'cat ~/file'
    [[ "${output}" == kept ]]
    run -0 "${BIN}/container-stop" t1 --force
    run -0 "${BIN}/container-start" t1 --gpus none
    [[ -z "$(gpus_inside "t1._.${UID}")" ]]
}

# bats test_tags=engine
@test "gpus: a container of another's that only has the name of a moved one is left alone" {
    setup_gpus a100-40 a100-40
    policy
    run -0 "${BIN}/container-create" u1 Debian --gpus 1
    docker create --name "u1._.${UID}-moving" ds01/debian:bookworm true
    run -0 --separate-stderr "${BIN}/container-start" u1
    [[ "${stderr}" != *'interrupted move'* ]]
    inspect "u1._.${UID}-moving" '{{.Id}}'
    inspect "u1._.${UID}" '{{.Id}}'
    docker rm "u1._.${UID}-moving"
}

# bats test_tags=engine
@test "gpus: what lies in a volume of the image moves along" {
    setup_gpus a100-40 a100-40
    policy 'gpu_hold_after_stop: 0s'
    printf 'FROM ds01/debian:bookworm\nVOLUME /vol\n' | docker build -q -t ds01-test/volume -
    run -0 "${BIN}/container-run" y1 --image ds01-test/volume --gpus 1 -- sh -c 'echo precious | sudo tee /vol/file'
    local taken
    taken="$(inspect "y1._.${UID}" '{{index .Config.Labels "ds01.gpus"}}')"
    run -0 "${BIN}/container-create" y2 Debian --gpus "device=${taken}"
    run -0 --separate-stderr "${BIN}/container-run" y1 -- cat /vol/file
    [[ "${output}" == precious ]]
    run -0 "${BIN}/container-remove" y1 y2 --yes
    docker rmi ds01-test/volume
}

# bats test_tags=engine
@test "gpus: with the driver down a start says so, and advises nothing that loses files" {
    setup_gpus a100-40
    policy
    run -0 "${BIN}/container-create" z1 Debian --gpus 1
    change_gpus '.faults = {nvmlInit: "lib_rm_version_mismatch"}'
    run -7 --separate-stderr "${BIN}/container-start" z1
    [[ "${stderr}" == *'the NVIDIA driver does not answer: '* && "${stderr}" != *container-remove* ]]
}
