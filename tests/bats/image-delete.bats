#!/usr/bin/env bats
# image-delete: what goes is said first, the source stays.

load helper

setup() {
    setup_ds01
}

@test "image-delete: names the missing word where nobody can be asked" {
    run -2 --separate-stderr "${BIN}/image-delete" < /dev/null
    [[ "${stderr_lines[0]}" == 'image-delete: error: missing NAME' ]]
}
