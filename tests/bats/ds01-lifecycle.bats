#!/usr/bin/env bats
# ds01-lifecycle: a pass, what it would do, and what it says. The rules have tests of their own in tests/python.

load helper

setup() {
    setup_ds01
}

teardown() {
    teardown_engine
}

lifecycle() {
    "${BIN}/ds01-lifecycle" "$@" < /dev/null
}

@test "ds01-lifecycle: refuses words" {
    run -2 --separate-stderr lifecycle now
    [[ "${stderr_lines[0]}" == "ds01-lifecycle: error: unexpected word 'now'" ]]
}

@test "ds01-lifecycle: without an engine nothing is done, and it is said once" {
    export DOCKER_HOST="unix://${BATS_TEST_TMPDIR}/none.sock"
    run -7 --separate-stderr lifecycle --quiet
    [[ "${stderr_lines[0]}" == "ds01-lifecycle: error: no Docker engine answers at"* ]]
    run -7 --separate-stderr lifecycle --quiet
    [[ -z "${stderr}" && -z "${output}" ]]
    run -7 --separate-stderr lifecycle
    [[ -n "${stderr}" ]]
    [[ "$(jq -r 'select(.type == "pass-skipped") | .reason' "${DS01_ROOT}/var/log/ds01/events.jsonl" | wc -l)" == 1 ]]
    [[ "$(jq -r .pass.skipped "${DS01_ROOT}/var/lib/ds01/lifecycle.json")" == 'no Docker engine answers at'* ]]
}

@test "ds01-lifecycle: where its memory cannot be written nothing is done, and it is said once" {
    local state="${DS01_ROOT}/var/lib/ds01"
    rm -r -- "${state}"
    touch -- "${state}"
    run -7 --separate-stderr lifecycle --json
    [[ "${stderr_lines[0]}" == "ds01-lifecycle: error: cannot lock '${state}/lifecycle.lock'"* ]]
    [[ "$(jq -r .skipped <<< "${output}")" == 'cannot lock'* ]]
    run -7 --separate-stderr lifecycle --quiet
    [[ -z "${stderr}" && -z "${output}" ]]
    [[ "$(jq -r 'select(.type == "pass-skipped") | .reason' "${DS01_ROOT}/var/log/ds01/events.jsonl")" == 'cannot lock'* ]]
}

@test "ds01-lifecycle: a broken policy stops nothing and is an error" {
    printf 'version: 1\nno_such_key: 3\n' > "${DS01_ROOT}/etc/ds01/resource-limits.yaml"
    run -6 --separate-stderr lifecycle --json
    [[ "$(jq -r .skipped <<< "${output}")" == *no_such_key* && "${stderr}" == *no_such_key* ]]
}

# bats test_tags=engine
@test "ds01-lifecycle: shows the containers, how long they idle and what comes next" {
    run -0 "${BIN}/container-create" l1 Debian
    run -0 "${BIN}/container-start" l1
    run -0 --separate-stderr lifecycle --dry-run
    [[ "${lines[0]}" == 'CONTAINER  USER'*'IDLE  NEXT'*'LAST ACTIVITY' ]]
    [[ "${lines[1]}" == l1*running*'seen for the first time' ]]
    [[ ! -e "${DS01_ROOT}/var/lib/ds01/lifecycle.json" ]]
    run -0 lifecycle --quiet
    [[ -z "${output}" ]]
    run -0 --separate-stderr "${BIN}/container-list"
    [[ "${lines[0]}" == *'IDLE  NEXT' && "${lines[1]}" == *'stops in '*': longest run time' ]]
    run -0 --separate-stderr "${BIN}/container-list" --json
    [[ "$(jq -r '.containers[0] | .next_action, .next' <<< "${output}")" == $'stop\nstops in '*': longest run time' ]]
}

# bats test_tags=engine
@test "ds01-lifecycle: never started containers lose their place after a while, and are told so before" {
    printf '%s\n' 'version: 1' 'default_group: all' 'groups: {all: {}}' \
        'lifecycle: {created_timeout: 10s, removal_notice: 1s}' > "${DS01_ROOT}/etc/ds01/resource-limits.yaml"
    run -0 "${BIN}/container-create" l2 Debian
    run -0 --separate-stderr lifecycle
    [[ "${lines[1]}" == l2*created*'is removed in'* ]]
    # What passes did to it; one that found no engine, or a clock that was set, did nothing and says so.
    said() {
        jq -r 'select(.by == "lifecycle" and .type != "pass-skipped") | .type + " " + .rule' "${DS01_ROOT}/var/log/ds01/events.jsonl"
    }
    removed() {
        lifecycle --quiet
        [[ "$(said)" == *'removed '* ]]
    }
    wait_for 60 removed || cat "${DS01_ROOT}/var/log/ds01/events.jsonl"
    run -0 said
    printf '%s\n' "${output}"
    [[ "${output}" == $'removal-announced created_timeout\nremoved created_timeout' ]]
    run -0 docker ps -aq --filter name=l2
    [[ -z "${output}" ]]
    # Its own prepared image went with it.
    [[ -z "$(docker images -q "ds01/debian:l2._.${UID}")" ]]
}
