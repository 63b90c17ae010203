#!/usr/bin/env bats
# container-start: several containers, and the engine's word that they run.

load helper

setup() {
    setup_ds01
}

teardown() {
    teardown_engine
}

@test "container-start: names the missing word where nobody can be asked" {
    run -2 --separate-stderr "${BIN}/container-start" < /dev/null
    [[ "${stderr_lines[0]}" == "container-start: error: missing NAME (or '--all')" ]]
}

# bats test_tags=engine
@test "container-start: starts several, says which run already, goes on after one that does not exist" {
    run -0 "${BIN}/container-create" s1 Debian
    run -0 "${BIN}/container-create" s2 Debian
    run -3 --separate-stderr "${BIN}/container-start" s1 nope s2
    [[ "${stderr}" == *"container 's1' is running"*"container 'nope' not found"*"container 's2' is running"* ]]
    [[ "$(docker ps -q | wc -l)" -eq 2 ]]
    run -0 --separate-stderr "${BIN}/container-start" --all
    [[ "${stderr}" == *'there is nothing to do' ]]
    run -0 --separate-stderr "${BIN}/container-start" s1
    [[ "${stderr}" == *"container 's1' is running already"* ]]
    run -2 "${BIN}/container-start" --all s1
}

# bats test_tags=engine
@test "container-start: --all with no containers has nothing to do" {
    run -0 --separate-stderr "${BIN}/container-start" --all
    [[ "${stderr}" == *'there is nothing to do' ]]
}

# bats test_tags=engine
@test "container-start: the engine's reason is shown when a container cannot start" {
    mkdir -p "${HOME}/gone/deep"
    run -0 "${BIN}/container-create" s4 Debian --data "${HOME}/gone/deep"
    # A file where the folder's parent was: the engine can neither mount it nor make it.
    rm -r "${HOME}/gone"
    : > "${HOME}/gone"
    run -1 --separate-stderr "${BIN}/container-start" s4
    [[ "${stderr}" == *"container-start: error: container 's4' does not start"* ]]
    [[ "${stderr_lines[-1]}" == "container-start: hint: run 'container-why s4' to see what happened" ]]
    [[ "${stderr}" == *gone* ]]
}
