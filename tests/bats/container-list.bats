#!/usr/bin/env bats
# container-list: the user's containers with limits and age.

load helper

setup() {
    setup_ds01
}

teardown() {
    teardown_engine
}

# bats test_tags=engine
@test "container-list: says when there is nothing, on stderr" {
    run -0 --separate-stderr "${BIN}/container-list"
    [[ -z "${output}" ]]
    [[ "${stderr}" == 'container-list: info: you have no containers' ]]
    run -0 --separate-stderr "${BIN}/container-list" --json
    [[ "${output}" == '{"containers":[]}' ]]
}

# bats test_tags=engine
@test "container-list: shows framework, state and limits, and the columns that are asked for" {
    run -0 "${BIN}/container-create" l1 Debian
    run -0 --separate-stderr "${BIN}/container-list"
    [[ "${lines[0]}" == 'CONTAINER  FRAMEWORK        STATE    AGE  CPUS'* ]]
    [[ "${lines[1]}" == l1\ *Debian-bookworm*created* ]]
    run -0 --separate-stderr "${BIN}/container-list" -a
    [[ "${lines[0]}" == *USER*ARCH*WORKSPACE*DATA*MODELS*SIZE ]]
    [[ "${lines[1]}" == *"${HOME}/workspace"* ]]
    run -0 --separate-stderr "${BIN}/container-list" -s -w
    [[ "${lines[0]}" == *WORKSPACE*SIZE && "${lines[0]}" != *MODELS* ]]
}

# bats test_tags=engine
@test "container-list: --json holds what the engine and the labels tell" {
    run -0 "${BIN}/container-create" l2 Debian
    run -0 --separate-stderr "${BIN}/container-list" --json
    jq -e --argjson uid "${UID}" '.containers[0] | .name == "l2" and .uid == $uid and .state == "created" and .managed
        and (.limits | has("cpus") and has("memory") and has("pids")) and .size >= 0' <<< "${output}"
}

# bats test_tags=engine
@test "container-list: a label with a comma on a foreign container does no harm" {
    docker create --name foreign --label 'a=b,c' --label 'lonely' ds01/debian:bookworm true
    run -0 "${BIN}/container-create" l3 Debian
    run -0 --separate-stderr "${BIN}/container-list" --all-users
    docker rm foreign
    [[ "${#lines[@]}" -eq 2 && "${lines[1]}" == l3* ]]
}

@test "container-list: says so when no engine answers" {
    DOCKER_HOST="unix://${BATS_TEST_TMPDIR}/none" run -7 --separate-stderr "${BIN}/container-list"
    [[ -z "${output}" && "${stderr_lines[0]}" == 'container-list: error: no Docker engine answers'* ]]
}

@test "container-list: --interactive needs somebody to ask" {
    run -2 --separate-stderr "${BIN}/container-list" --interactive < /dev/null
    [[ "${stderr_lines[0]}" == *"'--interactive' needs a terminal" ]]
}
