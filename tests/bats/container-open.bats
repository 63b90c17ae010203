#!/usr/bin/env bats
# container-open: a shell by way of mlc open.

load helper

setup() {
    setup_ds01
}

teardown() {
    terminal_stop
    teardown_engine
}

@test "container-open: names the missing word where nobody can be asked" {
    run -2 --separate-stderr "${BIN}/container-open" < /dev/null
    [[ "${stderr_lines[0]}" == 'container-open: error: missing NAME' ]]
    run -2 --separate-stderr "${BIN}/container-open" ../../evil
    [[ "${stderr_lines[0]}" == *"'../../evil' is not a name for a container" ]]
    run -2 --separate-stderr "${BIN}/container-open" a b
    [[ "${stderr_lines[0]}" == *"unexpected word 'b'" ]]
}

# bats test_tags=engine
@test "container-open: opens a shell and stops the container when nothing else runs in it" {
    run -0 "${BIN}/container-create" o1 Debian
    terminal_start "${BIN}/container-open" o1
    wait_for 30 terminal_shows '[o1]'
    terminal_keys 'exit 3' Enter
    [[ "$(terminal_status)" == 3 ]]
    [[ "$(inspect "o1._.${UID}" '{{.State.Running}}')" == false ]]
}

# bats test_tags=engine
@test "container-open: what was started in the background goes on" {
    run -0 "${BIN}/container-create" o2 Debian
    terminal_start "${BIN}/container-open" o2
    wait_for 30 terminal_shows '[o2]'
    terminal_keys 'nohup sleep 300 > /dev/null 2>&1 &' Enter
    terminal_keys 'exit' Enter
    [[ "$(terminal_status)" == 0 ]]
    [[ "$(inspect "o2._.${UID}" '{{.State.Running}}')" == true ]]
}

# bats test_tags=engine
@test "container-open: names the nearest of the user's containers" {
    run -0 "${BIN}/container-create" my-project Debian
    run -3 --separate-stderr "${BIN}/container-open" my-projekt < /dev/null
    [[ "${stderr_lines[0]}" == "container-open: error: container 'my-projekt' not found" ]]
    [[ "${stderr_lines[1]}" == "container-open: hint: did you mean 'my-project'?" ]]
    [[ "${#stderr_lines[@]}" -eq 2 ]]
    # A typing error leaves no lock behind.
    [[ ! -e "${DS01_ROOT}/var/lib/ds01/sessions/my-projekt._.${UID}.lock" ]]
}

# bats test_tags=engine
@test "container-open: takes a script on stdin without a terminal" {
    run -0 "${BIN}/container-create" o4 Debian
    run -0 --separate-stderr "${BIN}/container-open" o4 <<< 'echo "from $(pwd)"'
    [[ "${output}" == *'from /workspace'* ]]
}

# bats test_tags=engine
@test "container-open: greets a person with limits, files and the way out; a script and --quiet not" {
    run -0 "${BIN}/container-create" o6 Debian
    terminal_start "${BIN}/container-open" o6
    wait_for 30 terminal_shows '[o6]'
    terminal_shows 'container  o6: Debian-bookworm, GPU none'
    terminal_shows "leave      with 'exit': the container stops, unless something else runs in it"
    terminal_shows 'idle       it is stopped after 2d without work'
    terminal_keys 'exit' Enter
    [[ "$(terminal_status)" == 0 ]]
    [[ "$(inspect "o6._.${UID}" '{{.State.Running}}')" == false ]]
    terminal_stop
    rm -f "${BATS_TEST_TMPDIR}/terminal-status"
    terminal_start "${BIN}/container-open" --quiet o6
    wait_for 30 terminal_shows '[o6]'
    ! terminal_shows 'leave      with' || false
    run -0 --separate-stderr "${BIN}/container-open" o6 <<< true
    [[ "${stderr}" != *'leave      with'* ]]
}
