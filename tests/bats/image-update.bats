#!/usr/bin/env bats
# image-update: what changes is shown, then built.

load helper

setup() {
    setup_ds01
}

teardown() {
    terminal_stop
}

@test "image-update: names the missing word where nobody can be asked" {
    run -2 --separate-stderr "${BIN}/image-update" --add rich < /dev/null
    [[ "${stderr_lines[0]}" == 'image-update: error: missing NAME' ]]
}

@test "image-update: refuses words that contradict each other" {
    run -2 --separate-stderr "${BIN}/image-update" x --adopt --render-again
    [[ "${stderr_lines[0]}" == *"give '--adopt' or '--render-again', not both" ]]
    run -2 --separate-stderr "${BIN}/image-update" x --shared --private
    [[ "${stderr_lines[0]}" == *"give '--shared' or '--private', once" ]]
    run -2 --separate-stderr "${BIN}/image-update" x --add
    [[ "${stderr_lines[0]}" == *"option '--add' needs a value" ]]
    run -2 --separate-stderr "${BIN}/image-update" x --edit < /dev/null
    [[ "${stderr_lines[0]}" == *"'--edit' needs a terminal" ]]
    run -2 --separate-stderr "${BIN}/image-update" 'X y' --rebuild
    [[ "${stderr_lines[0]}" == *"'X y' is not a name for an image" ]]
}
