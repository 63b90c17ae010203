#!/usr/bin/env bats
# ds01-docker: docker's own words under DS01's rules.

load helper

setup() {
    setup_ds01
}

teardown() {
    docker rm --force ds01-docker-test > /dev/null 2>&1 || true
    teardown_engine
}

@test "ds01-docker: needs docker's command, and lets nobody name another engine" {
    run -2 --separate-stderr "${BIN}/ds01-docker" < /dev/null
    [[ "${stderr_lines[0]}" == "ds01-docker: error: missing COMMAND (such as 'ps')" ]]
    run -2 --separate-stderr "${BIN}/ds01-docker" --host unix:///var/run/docker.sock ps
    [[ "${stderr_lines[0]}" == "ds01-docker: error: unknown option '--host'" ]]
}

# bats test_tags=engine
@test "ds01-docker: what it makes is under limits; status, stdin and stdout are docker's" {
    run -0 --separate-stderr "${BIN}/ds01-docker" run --name ds01-docker-test --privileged ds01/debian:bookworm sh -c 'echo hello'
    [[ "${output}" == hello ]]
    [[ "$(inspect ds01-docker-test '{{.HostConfig.Privileged}} {{index .Config.Labels "ds01.uid"}}')" == "false ${UID}" ]]
    (($(inspect ds01-docker-test '{{.HostConfig.Memory}}') > 0))
    run -3 "${BIN}/ds01-docker" run --rm ds01/debian:bookworm sh -c 'exit 3'
    run -0 --separate-stderr "${BIN}/ds01-docker" run --rm --interactive ds01/debian:bookworm tr a-z A-Z <<< word
    [[ "${output}" == WORD ]]
}

# bats test_tags=engine
@test "ds01-docker: a refusal of the gateway is shown" {
    run --separate-stderr "${BIN}/ds01-docker" run --rm --volume /etc/shadow:/x ds01/debian:bookworm true
    [[ "${status}" -ne 0 ]] || [[ "${UID}" -eq 0 ]]
    run --separate-stderr "${BIN}/ds01-docker" run --rm --security-opt seccomp=unconfined --userns host --pid host ds01/debian:bookworm true
    [[ "${status}" -ne 0 && "${stderr}" == *"not allowed"* ]]
}
