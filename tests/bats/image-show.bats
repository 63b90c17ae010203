#!/usr/bin/env bats
# image-show: what an image is made of.

load helper

setup() {
    setup_ds01
}

@test "image-show: names the missing word where nobody can be asked" {
    run -2 --separate-stderr "${BIN}/image-show" < /dev/null
    [[ "${stderr_lines[0]}" == 'image-show: error: missing NAME' ]]
}

@test "image-show: refuses two names and two parts" {
    run -2 --separate-stderr "${BIN}/image-show" a b
    [[ "${stderr_lines[0]}" == "image-show: error: unexpected word 'b'" ]]
    run -2 --separate-stderr "${BIN}/image-show" a --lock --json
    [[ "${stderr_lines[0]}" == *"give one of '--lock' and '--json', not both" ]]
}
