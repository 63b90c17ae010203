#!/usr/bin/env bats
# container-save: what was installed in a container goes into an image.

load helper

setup() {
    setup_ds01
}

teardown() {
    terminal_stop
}

@test "container-save: names the missing word where nobody can be asked" {
    run -2 --separate-stderr "${BIN}/container-save" < /dev/null
    [[ "${stderr_lines[0]}" == 'container-save: error: missing NAME' ]]
    run -2 --separate-stderr "${BIN}/container-save" a b c
    [[ "${stderr_lines[0]}" == *"unexpected word 'c'" ]]
    run -2 --separate-stderr "${BIN}/container-save" a 'B c'
    [[ "${stderr_lines[0]}" == *"'B c' is not a name for an image" ]]
}
