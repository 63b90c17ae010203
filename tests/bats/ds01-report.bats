#!/usr/bin/env bats
# ds01-report: who got how much of the GPUs, as a table, JSON, CSV or one page.

load helper
load gpu_helper

setup() {
    setup_ds01
}

teardown() {
    teardown_engine
    teardown_gpus
}

# Write the release of a grant that lasted from six to two hours ago.
release() { # <user> <uid>
    local begin end
    begin="$(date -u -d '6 hours ago' +%Y-%m-%dT%H:%M:%S.000Z)"
    end="$(date -u -d '2 hours ago' +%Y-%m-%dT%H:%M:%S.000Z)"
    jq -cn --arg user "$1" --argjson uid "$2" --arg begin "${begin}" --arg ended "${end}" '{time: $ended, type: "release",
        $user, $uid, container: "c", devices: ["GPU-1"], share: 1, reason: "gone", was: "held", $begin, end: $ended}' \
        >> "${DS01_ROOT}/var/log/ds01/gpu-allocations.log"
}

@test "ds01-report: refuses wrong words" {
    run -2 --separate-stderr "${BIN}/ds01-report" week
    [[ "${stderr_lines[0]}" == "ds01-report: error: unexpected word 'week'" ]]
    run -2 --separate-stderr "${BIN}/ds01-report" --week --since 2d
    [[ "${stderr_lines[0]}" == "ds01-report: error: give one of '--week', '--month' and '--since'" ]]
    run -2 --separate-stderr "${BIN}/ds01-report" --csv --html x
    [[ "${stderr_lines[0]}" == "ds01-report: error: give one of '--html', '--csv' and '--json'" ]]
    run -2 --separate-stderr "${BIN}/ds01-report" --since 1h --until 2h
    [[ "${stderr_lines[0]}" == "ds01-report: error: '--since 1h' is not before '--until 2h'" ]]
    run -2 --separate-stderr "${BIN}/ds01-report" --html
    [[ "${stderr_lines[0]}" == "ds01-report: error: option '--html' needs a value" ]]
}

@test "ds01-report: granted hours as a table, JSON and CSV; what was not measured is unknown" {
    release ann 4001
    release ben 4002
    run -0 --separate-stderr "${BIN}/ds01-report"
    [[ "${lines[0]}" == 'GPU-hours from '*' (7d)' ]]
    [[ "${lines[1]}" == USER*GROUP*GRANTED*HELD*USED* ]]
    [[ "${lines[2]}" == ann*student*4.00*0.00*unknown* ]]
    [[ "${stderr}" == *'how much of the GPU time was used is unknown'* ]]
    run -0 --separate-stderr "${BIN}/ds01-report" --since 3h --json
    jq -e '.total.granted_hours > 1.99 and .total.granted_hours < 2.01 and .total.used_hours == null
        and (.users | length) == 2' <<< "${output}"
    run -0 --separate-stderr "${BIN}/ds01-report" --month --csv
    [[ "${#lines[@]}" -eq 3 && "${lines[0]}" == user,uid,group,granted_hours,* && "${lines[1]}" == ann,4001,student,4.0,0.0,,* ]]
}

@test "ds01-report: one page that names no other file" {
    release ann 4001
    run -0 --separate-stderr "${BIN}/ds01-report" --html "${BATS_TEST_TMPDIR}/the page.html"
    [[ -z "${output}" && "${stderr}" == *"the report is in '${BATS_TEST_TMPDIR}/the page.html'" ]]
    grep -q '<svg role="img"' "${BATS_TEST_TMPDIR}/the page.html"
    run ! grep -qE '(src|href)="[^#"]' "${BATS_TEST_TMPDIR}/the page.html"
    run -4 --separate-stderr "${BIN}/ds01-report" --html "${BATS_TEST_TMPDIR}/no/page.html"
    [[ "${stderr_lines[0]}" == *'page.html'\'' cannot be written: no such file or directory' ]]
    # Also where there is no home to keep a cache in.
    HOME=/nonexistent run -0 --separate-stderr "${BIN}/ds01-report" --html -
    [[ "${lines[0]}" == '<!DOCTYPE html>' && -z "${stderr}" ]]
}

# bats test_tags=engine
@test "ds01-report: a present grant, what the host has, and others as a sum to a user" {
    setup_gpus a100-40
    open_ds01
    run -0 as_user alice "${BIN}/container-create" r1 Debian --gpus 1
    run -0 as_user bob "${BIN}/container-create" r2 Debian --gpus none
    run -0 --separate-stderr "${BIN}/ds01-report" --since 1h
    grep -qE "^$(bench_user alice name) +student +0\.0[0-9] " <<< "${output}"
    [[ "${output}" == *'2 containers made'* && "${output}" == *'capacity    1 GPU now'* ]]
    run -0 --separate-stderr as_user bob "${BIN}/ds01-report" --since 1h --json
    [[ "$(jq -r '[.users[].user] | join(" ")' <<< "${output}")" == "$(bench_user bob name) 1 other" ]]
}
