#!/usr/bin/env bats
# Another mlc in place of the embedded one, with the ways of AIME's (tests/fixtures/other-mlc).

load helper

setup() {
    setup_ds01
    export DS01_MLC_HOME="${ROOT}/tests/fixtures/other-mlc" USER="${USER:-root}"
    cd "${HOME}"
}

teardown() {
    terminal_stop
    teardown_engine
}

# bats test_tags=engine
@test "mlc-home: a create that asks for everything gives a container that starts, under the limits" {
    run -0 --separate-stderr "${BIN}/container-create" h1 debian
    [[ "${lines[0]}" == 'container  h1 (Debian-bookworm, created)' ]]
    [[ "$(inspect "h1._.${UID}" '{{.HostConfig.Privileged}} {{.HostConfig.IpcMode}}')" == 'false private' ]]
    [[ "$(inspect "h1._.${UID}" '{{.HostConfig.PidsLimit}}')" -gt 0 ]]
    run -0 --separate-stderr "${BIN}/container-run" h1 -- id -u
    [[ "${output}" == "${UID}" ]]
}

# bats test_tags=engine
@test "mlc-home: takes the setting in ds01.yaml as well as the environment" {
    unset DS01_MLC_HOME
    sed -i "s|^mlc_home: .*|mlc_home: ${ROOT}/tests/fixtures/other-mlc|" "${DS01_ROOT}/etc/ds01/ds01.yaml"
    run -0 --separate-stderr "${BIN}/container-create" h2 Debian --dry-run
    [[ "${output}" == *'other-mlc/mlc.py create h2'* ]]
}

# bats test_tags=engine
@test "mlc-home: a failure that ends with 0 is seen by looking at the engine" {
    # The catalog knows the framework for another architecture only, which this mlc notices too late.
    run --separate-stderr "${BIN}/container-create" h3 --image 127.0.0.1:1/no/such
    [[ "${status}" -ne 0 ]]
    [[ "${stderr}" == *"container-create: error: "* ]]
    run ! docker inspect "h3._.${UID}"
}

# bats test_tags=engine
@test "mlc-home: start works although this mlc fails without a command" {
    run -0 "${BIN}/container-create" h4 Debian
    run -0 --separate-stderr "${BIN}/container-start" h4
    [[ "${stderr}" == *"container 'h4' is running"* ]]
    [[ "$(inspect "h4._.${UID}" '{{.State.Running}}')" == true ]]
    run -0 "${BIN}/container-stop" h4
    [[ "$(inspect "h4._.${UID}" '{{.State.Running}}')" == false ]]
}

# bats test_tags=engine
@test "mlc-home: export and import are the embedded mlc's" {
    run -0 "${BIN}/container-run" h5 Debian -- sh -c 'echo kept > /tmp/x'
    run -0 "${BIN}/container-export" h5 h5.tar
    run -0 "${BIN}/container-import" h5.tar h6
    run -0 --separate-stderr "${BIN}/container-run" h6 -- cat /tmp/x
    [[ "${output}" == kept ]]
}

# bats test_tags=engine
@test "mlc-home: a removal that fails with 0 is told" {
    run -0 "${BIN}/container-create" h7 Debian
    run -0 "${BIN}/container-start" h7
    # This mlc's remove does not stop a running container, and says nothing.
    run -1 --separate-stderr "${BIN}/container-remove" h7 --force --yes
    [[ "${stderr}" == *"container-remove: error: container 'h7' is still there"* ]]
    run -0 "${BIN}/container-stop" h7
    run -0 "${BIN}/container-remove" h7 --yes
}

# bats test_tags=engine
@test "mlc-home: lists although this mlc's list falls over the labels of others" {
    docker create --name foreign --label 'a=b,c' ds01/debian:bookworm true
    run -0 "${BIN}/container-create" h8 Debian
    run ! python3 "${DS01_MLC_HOME}/mlc.py" list
    run -0 --separate-stderr "${BIN}/container-list"
    docker rm foreign
    [[ "${lines[1]}" == h8\ * ]]
}

@test "mlc-home: an mlc that needs a login terminal says what to do where there is none" {
    # setsid: no terminal; cron and CI have none either.
    STANDIN_NEEDS_LOGIN=1 run -7 --separate-stderr setsid --wait "${BIN}/container-open" x < /dev/null
    [[ "${stderr_lines[0]}" == *"needs a login terminal, and there is none here" ]]
    [[ "${stderr_lines[1]}" == *"mlc_home: null"* ]]
    # What does not need mlc works regardless.
    DOCKER_HOST="unix://${BATS_TEST_TMPDIR}/none" STANDIN_NEEDS_LOGIN=1 run -7 --separate-stderr "${BIN}/container-list"
    [[ "${stderr_lines[0]}" == *'no Docker engine answers'* ]]
}

@test "mlc-home: a folder without mlc is named" {
    DS01_MLC_HOME="${HOME}" run -7 --separate-stderr "${BIN}/container-open" x
    [[ "${stderr_lines[0]}" == "container-open: error: there is no 'mlc.py' in '${HOME}'" ]]
    DS01_MLC_HOME=relative run -2 --separate-stderr "${BIN}/container-open" x
    [[ "${stderr_lines[0]}" == *"DS01_MLC_HOME 'relative' is not an absolute path" ]]
}
