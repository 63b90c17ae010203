#!/usr/bin/env bats
# container-keep: asking for time, within the policy, for everybody to see.

load helper

setup() {
    setup_ds01
}

teardown() {
    teardown_engine
}

@test "container-keep: refuses words that make no sense together" {
    run -2 --separate-stderr "${BIN}/container-keep" a 4h b < /dev/null
    [[ "${stderr_lines[0]}" == "container-keep: error: unexpected word 'b'" ]]
    run -2 --separate-stderr "${BIN}/container-keep" --off a 4h < /dev/null
    [[ "${stderr_lines[0]}" == "container-keep: error: '--off' takes no duration" ]]
    run -2 --separate-stderr "${BIN}/container-keep" --off < /dev/null
    [[ "${stderr_lines[0]}" == "container-keep: error: missing NAME (or '--list')" ]]
}

# bats test_tags=engine
@test "container-keep: keeps, lists and ends it, in the log" {
    run -0 "${BIN}/container-create" k1 Debian
    run -0 --separate-stderr "${BIN}/container-keep" k1 4h
    [[ "${stderr}" == "container-keep: info: container 'k1' is kept for 4h, until 20"*Z ]]
    run -0 --separate-stderr "${BIN}/container-keep" --list
    [[ "${lines[0]}" == 'CONTAINER  USER'*'KEPT UNTIL'* && "${lines[1]}" == k1*'  4h'* ]]
    run -0 --separate-stderr "${BIN}/container-keep" --list --json
    [[ "$(jq -r '.kept[0].name' <<< "${output}")" == k1 ]]
    run -0 --separate-stderr "${BIN}/container-keep" --off k1
    [[ "${stderr}" == "container-keep: info: container 'k1' is kept no more" ]]
    run -0 --separate-stderr "${BIN}/container-keep" --list
    [[ -z "${output}" && "${stderr}" == 'container-keep: info: no container is kept' ]]
    run -0 jq -r 'select(.container == "k1._.'"${UID}"'") | .type' "${DS01_ROOT}/var/log/ds01/events.jsonl"
    [[ "${output}" == *$'kept\nkeep-ended' ]]
}

# bats test_tags=engine
@test "container-keep: no longer than the policy allows, no container of others, and none that is not there" {
    run -0 "${BIN}/container-create" project Debian
    run -4 --separate-stderr "${BIN}/container-keep" project 2d
    [[ "${stderr}" == *"'2d' is longer than 1d, the policy's keep_alive_max"* ]]
    [[ "${stderr_lines[1]}" == "container-keep: hint: run 'container-keep project 1d'" ]]
    run -2 --separate-stderr "${BIN}/container-keep" project 4
    [[ "${stderr}" == *"'4' has no unit, write 4h"* ]]
    [[ "${stderr_lines[1]}" == "container-keep: hint: run 'container-keep project 4h'" ]]
    run -3 --separate-stderr "${BIN}/container-keep" projct
    [[ "${stderr}" == *"container 'projct' not found"*"did you mean 'project'?" ]]
    open_ds01
    run -3 --separate-stderr as_user alice "${BIN}/container-keep" project
    [[ "${stderr}" == *"container 'project' not found"* ]]
    # Everybody may see what is kept.
    run -0 "${BIN}/container-keep" project
    run -0 --separate-stderr as_user alice "${BIN}/container-keep" --list
    [[ "${lines[1]}" == project* ]]
}
