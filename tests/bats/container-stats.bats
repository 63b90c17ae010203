#!/usr/bin/env bats
# container-stats: use against limits.

load helper

setup() {
    setup_ds01
}

teardown() {
    terminal_stop
    teardown_engine
}

@test "container-stats: --watch and --json do not go together" {
    run -2 --separate-stderr "${BIN}/container-stats" --watch --json
    [[ "${stderr_lines[0]}" == *'do not go together' ]]
}

# bats test_tags=engine
@test "container-stats: shows what a busy container uses, against its limits" {
    run -0 "${BIN}/container-create" s1 Debian
    run -0 "${BIN}/container-start" s1
    docker exec -d "s1._.${UID}" sh -c 'while :; do :; done'
    run -0 --separate-stderr "${BIN}/container-stats" --json
    jq -e '.containers[0] | .name == "s1" and .cpu_percent > 5 and .memory > 0 and .pids >= 2 and .limits.pids != null' <<< "${output}"
    run -0 --separate-stderr "${BIN}/container-stats" --all-users
    [[ "${lines[0]}" == CONTAINER*CPU%*CPUS*MEM*MEM-LIMIT*PIDS*USER && "${lines[1]}" == s1\ * ]]
}

# bats test_tags=engine
@test "container-stats: says when nothing runs" {
    run -0 --separate-stderr "${BIN}/container-stats"
    [[ -z "${output}" && "${stderr}" == *'none of your containers runs' ]]
}

# bats test_tags=engine
@test "container-stats: --watch goes on until Ctrl-C" {
    run -0 "${BIN}/container-create" s2 Debian
    run -0 "${BIN}/container-start" s2
    terminal_start "${BIN}/container-stats" --watch
    wait_for 20 terminal_shows s2
    sleep 3
    terminal_shows s2
    terminal_keys C-c
    [[ "$(terminal_status)" == 130 ]]
}
