#!/usr/bin/env bats
# image-list: own images and shared ones, as a table and as JSON.

load helper
load images_helper

setup() {
    setup_ds01
}

teardown() {
    teardown_images
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

# bats test_tags=engine
@test "image-list: a table bare, one object with --json" {
    demo_image
    run -0 "${BIN}/container-create" c1 --image demo
    run -0 --separate-stderr "${BIN}/image-list"
    [[ "${lines[0]}" =~ ^NAME\ +SIZE\ +BASE\ +AGE\ +SHARED\ +CONTAINERS$ ]]
    [[ "${lines[1]}" =~ ^demo\ +[0-9.]+MB\ +ds01/debian:bookworm\ +[0-9]+[smh]\ +no\ +c1$ ]]
    run -0 --separate-stderr "${BIN}/image-list" --json
    [[ "${#lines[@]}" -eq 1 ]]
    jq -e '.images[] | select(.name == "demo") | .mine and (.shared | not) and .containers == ["c1"] and .outdated == []' \
        <<< "${output}"
}

@test "image-list: --interactive needs a terminal" {
    run -2 --separate-stderr "${BIN}/image-list" --interactive < /dev/null
    [[ "${stderr_lines[0]}" == *"'--interactive' needs a terminal" ]]
}

# bats test_tags=engine
@test "image-list: says so when there is none" {
    run -0 --separate-stderr "${BIN}/image-list" --json
    [[ "${output}" == '{"images":[]}' ]]
    run -0 "${BIN}/image-list"
    [[ "${output}" == *"image-create"* ]]
}
