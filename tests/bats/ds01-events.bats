#!/usr/bin/env bats
# ds01-events: what happened, since when, and on and on.

load helper

setup() {
    setup_ds01
    LOG="${DS01_ROOT}/var/log/ds01/events.jsonl"
}

teardown() {
    [[ -z "${FOLLOWER:-}" ]] || kill "${FOLLOWER}" 2> /dev/null || true
    teardown_engine
}

# Write one event of the caller's.
event() { # <minutes ago> <type> [<field> <value>]...
    local time
    time="$(date -u -d "$1 minutes ago" +%Y-%m-%dT%H:%M:%S.000Z)"
    jq -cn --arg time "${time}" --arg type "$2" --argjson uid "${UID}" --arg user "$(id -un)" \
        --arg container "train._.${UID}" '{time: $time, type: $type, user: $user, uid: $uid, container: $container}' >> "${LOG}"
}

has_ended() { # <process>
    [[ ! -d "/proc/$1" ]]
}

# Write an event; has one of them come out?
is_following() {
    event 0 started
    grep -q started "${BATS_TEST_TMPDIR}/out"
}

@test "ds01-events: refuses wrong words" {
    run -2 --separate-stderr "${BIN}/ds01-events" stopped
    [[ "${stderr_lines[0]}" == "ds01-events: error: unexpected word 'stopped'" ]]
    run -2 --separate-stderr "${BIN}/ds01-events" --since
    [[ "${stderr_lines[0]}" == "ds01-events: error: option '--since' needs a value" ]]
    run -2 --separate-stderr "${BIN}/ds01-events" --since 5
    [[ "${stderr_lines[0]}" == "ds01-events: error: '5' is not a time"* ]]
    [[ "${stderr_lines[1]}" == 'ds01-events: hint: or write how long ago: 2h, or 7d' ]]
    run -2 --separate-stderr "${BIN}/ds01-events" --type startd
    [[ "${stderr_lines[1]}" == "ds01-events: hint: did you mean 'started'?" ]]
    run -3 --separate-stderr "${BIN}/ds01-events" --user no-such-user
    [[ "${stderr_lines[0]}" == *"user 'no-such-user' does not exist"* ]]
}

@test "ds01-events: without a log there is nothing to show" {
    run -0 --separate-stderr "${BIN}/ds01-events"
    [[ -z "${output}" && -z "${stderr}" ]]
}

@test "ds01-events: shows a window, also out of files that were rotated away" {
    event 300 created
    mv -- "${LOG}" "${LOG}.2"
    gzip -- "${LOG}.2"
    event 200 started
    mv -- "${LOG}" "${LOG}.1"
    event 1 stopped
    run -0 --separate-stderr "${BIN}/ds01-events" --json
    [[ "$(jq -r .type <<< "${output}" | tr '\n' ' ')" == 'created started stopped ' ]]
    run -0 --separate-stderr "${BIN}/ds01-events" --since=4h --until 1h
    [[ "${#lines[@]}" -eq 1 && "${lines[0]}" == *Z\ \ started\ * && "${lines[0]}" == *train* ]]
    run -0 --separate-stderr "${BIN}/ds01-events" -t created,stopped -c train
    [[ "${#lines[@]}" -eq 2 ]]
    run -0 --separate-stderr "${BIN}/ds01-events" --container other
    [[ -z "${output}" ]]
}

@test "ds01-events: goes on showing over a rotation, until it is ended" {
    event 60 created
    "${BIN}/ds01-events" --follow --json > "${BATS_TEST_TMPDIR}/out" 2>&1 3>&- &
    FOLLOWER=$!
    # Until it has begun, and then over a rotation.
    wait_for 20 is_following
    mv -- "${LOG}" "${LOG}.1"
    event 0 stopped
    wait_for 10 grep -q stopped "${BATS_TEST_TMPDIR}/out"
    run ! grep -q created "${BATS_TEST_TMPDIR}/out"
    [[ "$(grep -c stopped "${BATS_TEST_TMPDIR}/out")" -eq 1 ]]
    kill "${FOLLOWER}"
    wait_for 5 has_ended "${FOLLOWER}"
    FOLLOWER=''
}

# bats test_tags=engine
@test "ds01-events: what the commands did to a container, in its order, with the fields that docs/events.md names" {
    run -0 "${BIN}/container-create" e1 Debian
    run -0 "${BIN}/container-start" e1
    run -0 "${BIN}/container-stop" e1 --yes
    run -0 "${BIN}/container-run" e1 -- true
    run -0 "${BIN}/container-remove" e1 --yes
    run -0 --separate-stderr "${BIN}/ds01-events" --container e1 --json
    [[ "$(jq -r .type <<< "${output}" | tr '\n' ' ')" == 'created started stopped started stopped removed ' ]]
    jq -es '.[0] | .name == "e1" and .gpus == [] and .framework == "Debian-bookworm" and .limits.pids == "4096"
        and (.id | length) == 64' <<< "${output}"
    jq -es '.[1] | .name == "e1" and .kinds == "none" and .limits.pids == 4096' <<< "${output}"
    jq -es '.[4].reason == "last-session-ended"' <<< "${output}"
    local type fields documented field
    while IFS=$'\t' read -r type fields; do
        documented="$(sed -nE "s/^\| ${type} \| ([^|]*) \|.*/\1/p" "${ROOT}/docs/events.md")"
        for field in ${fields}; do
            [[ " time type user uid command pid container name by ${documented//,/} " == *" ${field} "* ]] \
                || { printf '%s: %s\n' "${type}" "${field}" && return 1; }
        done
    done < <(jq -r '[.type, (keys | join(" "))] | @tsv' <<< "${output}")
}

# bats test_tags=engine
@test "ds01-events: a user sees own events only" {
    open_ds01
    event 10 created
    jq -cn --argjson uid "$(bench_user alice uid)" \
        '{time: "2026-11-24T10:00:00.000Z", type: "started", user: "alice", uid: $uid, container: "mine"}' >> "${LOG}"
    chmod 0664 "${LOG}"
    run -0 --separate-stderr as_user alice "${BIN}/ds01-events" --json
    [[ "$(jq -r .container <<< "${output}")" == mine ]]
    run -4 --separate-stderr as_user alice "${BIN}/ds01-events" --user root
    [[ "${stderr_lines[0]}" == "ds01-events: error: the events of 'root' are not yours" ]]
    chmod 0660 "${LOG}"
    run -7 --separate-stderr as_user outsider "${BIN}/ds01-events"
    [[ "${stderr_lines[0]}" == *"events.jsonl': permission denied" ]]
}
