#!/usr/bin/env bats
# container-why: the story of one container, there or gone.

load helper
load gpu_helper

setup() {
    setup_ds01
}

teardown() {
    teardown_engine
    teardown_gpus
}

@test "container-why: refuses wrong words" {
    run -2 --separate-stderr "${BIN}/container-why" < /dev/null
    [[ "${stderr_lines[0]}" == 'container-why: error: missing NAME' ]]
    run -2 --separate-stderr "${BIN}/container-why" a b
    [[ "${stderr_lines[0]}" == "container-why: error: unexpected word 'b'" ]]
}

@test "container-why: a name that nothing is known of" {
    run -3 --separate-stderr "${BIN}/container-why" nothing
    [[ "${stderr_lines[0]}" == "container-why: error: nothing is known of a container 'nothing'" ]]
    [[ "${stderr_lines[1]}" == "container-why: hint: run 'container-list' to see your containers" ]]
    run -3 --separate-stderr "${BIN}/container-why" -- --evil
    [[ "${stderr_lines[0]}" == *"'--evil'" ]]
}

# bats test_tags=engine
@test "container-why: tells of making, GPUs, stop and removal, by engine or without" {
    setup_gpus a100-40
    run -0 "${BIN}/container-create" weaver Debian --gpus 1
    run -0 "${BIN}/container-start" weaver
    run -0 --separate-stderr "${BIN}/container-why" weaver
    [[ "${lines[0]}" == "container  weaver (Debian-bookworm, running) of $(id -un)" ]]
    [[ "${output}" == *'gpus       full, allocated since '* ]]
    [[ "${output}" == *'grant         full for the request'* ]]
    [[ "${stderr}" == *'no pass of the lifecycle ran yet'* ]]
    run -0 "${BIN}/container-stop" weaver --yes
    run -0 "${BIN}/container-remove" weaver --yes
    run -3 --separate-stderr "${BIN}/container-why" weavre
    [[ "${stderr_lines[1]}" == "container-why: hint: did you mean 'weaver'?" ]]
    # Gone, and with an engine that does not answer.
    DOCKER_HOST="unix://${BATS_TEST_TMPDIR}/none.sock" run -0 --separate-stderr "${BIN}/container-why" weaver
    [[ "${lines[0]}" == "container  weaver (Debian-bookworm, removed) of $(id -un)" ]]
    [[ "${stderr}" == *'the engine does not answer'* ]]
    run -0 --separate-stderr "${BIN}/container-why" weaver --json
    jq -e '.state == "removed" and ([.events[].type] | index("grant") < index("created") and index("started") < index("removed"))' \
        <<< "${output}"
}

# bats test_tags=engine
@test "container-why: a container is told of to its owner and to root" {
    open_ds01
    run -0 as_user alice "${BIN}/container-create" hers Debian
    run -0 --separate-stderr "${BIN}/container-why" hers
    [[ "${lines[0]}" == "container  hers (Debian-bookworm, created) of $(bench_user alice name)" ]]
    run -4 --separate-stderr as_user bob "${BIN}/container-why" "hers._.$(bench_user alice uid)"
    [[ "${stderr_lines[0]}" == *'is not yours' ]]
    run -3 as_user bob "${BIN}/container-why" hers
}
