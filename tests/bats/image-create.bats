#!/usr/bin/env bats
# image-create: words and wizard.

load helper

setup() {
    setup_ds01
}

teardown() {
    terminal_stop
}

@test "image-create: names the missing words where nobody can be asked" {
    run -2 --separate-stderr "${BIN}/image-create" < /dev/null
    [[ -z "${output}" ]]
    [[ "${stderr_lines[0]}" == "image-create: error: missing NAME and '--framework' (or '--from')" ]]
    run -2 --separate-stderr "${BIN}/image-create" demo < /dev/null
    [[ "${stderr_lines[0]}" == "image-create: error: missing '--framework' (or '--from')" ]]
    # Closed is not a terminal either.
    run -2 --separate-stderr "${BIN}/image-create" demo <&-
    [[ "${stderr_lines[0]}" == "image-create: error: missing '--framework' (or '--from')" ]]
}

@test "image-create: refuses words that contradict each other" {
    run -2 --separate-stderr "${BIN}/image-create" demo --framework Debian --from ds01/debian:bookworm
    [[ "${stderr_lines[0]}" == *"give '--framework' or '--from', not both" ]]
    run -2 --separate-stderr "${BIN}/image-create" demo --from ds01/debian:bookworm --version 1
    [[ "${stderr_lines[0]}" == *"'--version' needs '--framework'" ]]
    run -2 --separate-stderr "${BIN}/image-create" demo --from ds01/debian:bookworm --tier system --no-tiers
    [[ "${stderr_lines[0]}" == *"give '--tier' or '--no-tiers', not both" ]]
    run -2 --separate-stderr "${BIN}/image-create" demo more
    [[ "${stderr_lines[0]}" == *"unexpected word 'more'" ]]
    run -2 --separate-stderr "${BIN}/image-create" demo --packages
    [[ "${stderr_lines[0]}" == *"option '--packages' needs a value" ]]
    run -2 --separate-stderr "${BIN}/image-create" demo --packages=
    [[ "${stderr_lines[0]}" == *"option '--packages' needs a value" ]]
}

# Names that are refused by the shell are those that Python refuses, and the other way round.
@test "image-create: refuses names that could escape, with the rule" {
    local name
    for name in '../x' 'a b' '-x' 'Upper' 'a/b' 'a:b' 'a__b' 'a--b' 'ä' 'x.' '_x' '$(id)' "$(printf 'a%.0s' {1..64})"; do
        run -2 --separate-stderr "${BIN}/image-create" --from ds01/debian:bookworm -- "${name}"
        [[ "${stderr_lines[0]}" == "image-create: error: '${name}' is not a name for an image" ]]
        [[ "${stderr_lines[1]}" == *"hint: use lower-case letters and digits"* ]]
        run ! python3 -c 'import sys; sys.path.insert(0, sys.argv[1]); import image_names; image_names.check_name(sys.argv[2])' \
            "${ROOT}/python" "${name}"
    done
    for name in a a.b 0 "$(printf 'a%.0s' {1..63})" my-image_2.0; do
        run --separate-stderr env DOCKER_HOST="unix://${BATS_TEST_TMPDIR}/none.sock" "${BIN}/image-create" "${name}" --from x
        [[ "${status}" -ne 2 && "${stderr}" != *'not a name'* ]]
        run -0 python3 -c 'import sys; sys.path.insert(0, sys.argv[1]); import image_names; image_names.check_name(sys.argv[2])' \
            "${ROOT}/python" "${name}"
    done
}
