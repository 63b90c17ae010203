#!/usr/bin/env bats
# image-list: own images and shared ones, as a table and as JSON.

load helper

setup() {
    setup_ds01
}

@test "image-list: refuses words" {
    run -2 --separate-stderr "${BIN}/image-list" word
    [[ -z "${output}" && "${stderr_lines[0]}" == "image-list: error: unexpected word 'word'" ]]
}

@test "image-list: says so when no engine answers" {
    export DOCKER_HOST="unix://${BATS_TEST_TMPDIR}/none.sock"
    run -7 --separate-stderr "${BIN}/image-list"
    [[ "${stderr_lines[0]}" == "image-list: error: no Docker engine answers at "* ]]
    [[ "${stderr_lines[1]}" == 'image-list: hint: '* ]]
}
