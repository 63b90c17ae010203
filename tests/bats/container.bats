#!/usr/bin/env bats
# The dispatchers `container` and `image`.

load helper

teardown() {
    terminal_stop
}

@test "container: lists its commands with the summaries of their headers" {
    run -0 --separate-stderr "${BIN}/container"
    [[ -z "${stderr}" ]]
    local file name
    for file in "${BIN}"/container-*; do
        name="${file##*/container-}"
        [[ "${output}" == *"  ${name}"*"$(sed -n 's/^# Summary: //p' "${file}")"* ]]
    done
    run -0 "${BIN}/container" --help
    [[ "${lines[0]}" == 'Usage: container COMMAND'* ]]
}

@test "image: lists its commands" {
    run -0 "${BIN}/image" --help
    [[ "${output}" == *'  base '* ]]
}

@test "container: hands words on unchanged" {
    run -0 "${BIN}/container" run --help
    [[ "${lines[0]}" == 'Summary: '*"$(sed -n 's/^# Summary: //p' "${BIN}/container-run")" ]]
    run -2 --separate-stderr "${BIN}/container" list 'a word' ''
    [[ "${stderr_lines[0]}" == "container-list: error: unexpected word 'a word'" ]]
}

@test "container: works through symbolic links in a folder with spaces" {
    mkdir -p "${BATS_TEST_TMPDIR}/a b/ç"
    ln -s "${BIN}/container" "${BATS_TEST_TMPDIR}/a b/ç/container"
    ln -s "${BATS_TEST_TMPDIR}/a b/ç/container" "${BATS_TEST_TMPDIR}/a b/container"
    cd "${BATS_TEST_TMPDIR}/a b"
    run -0 ./container stop --help
    [[ "${lines[0]}" == 'Summary: Stop running containers' ]]
    cp -r "${ROOT}/bin" "${ROOT}/lib" "${BATS_TEST_TMPDIR}/a b/"
    run -0 "${BATS_TEST_TMPDIR}/a b/bin/container" stop --help
    [[ "${lines[0]}" == 'Summary: Stop running containers' ]]
}

@test "container: refuses an unknown command and a path" {
    run -2 --separate-stderr "${BIN}/container" rnu x
    [[ "${stderr_lines[0]}" == "container: error: unknown command 'rnu'" ]]
    [[ "${stderr_lines[1]}" == "container: hint: did you mean 'container run'?" ]]
    run -2 --separate-stderr "${BIN}/container" fly-away
    [[ "${stderr_lines[1]}" == "container: hint: run 'container --help'"* ]]
    run -2 --separate-stderr "${BIN}/container" ../../bin/container
    [[ "${stderr_lines[0]}" == *'unknown command'* ]]
    run -2 --separate-stderr "${BIN}/container" --bogus
    [[ "${stderr_lines[0]}" == "container: error: unknown option '--bogus'" ]]
}

# Run a command in a terminal that stays afterwards, and shows the command's status.
terminal_try() { # <command-line>
    terminal_start sh -c "$1; echo \"status \$?\"; read -r line"
}

@test "container: in a terminal its commands are a menu, which leads into the one chosen" {
    setup_ds01
    terminal_try "DOCKER_HOST=unix:///nonexistent '${BIN}/container'"
    wait_for 10 terminal_shows '<Ok>'
    terminal_shows 'Create a container from a framework or an image'
    # A letter leads to the next command that begins with it.
    terminal_keys l Enter
    wait_for 10 terminal_shows 'status 7'
    terminal_shows 'container: info: the same in one line: container-list'
    terminal_shows 'container-list: error: no Docker engine answers'
}

@test "container: Esc and Cancel leave the menu with status 130" {
    terminal_try "'${BIN}/gpu'"
    wait_for 10 terminal_shows 'Show all GPUs'
    terminal_keys Escape
    wait_for 10 terminal_shows 'status 130'
    terminal_shows 'gpu: info: left without doing anything'
    terminal_stop
    terminal_try "'${BIN}/gpu'"
    wait_for 10 terminal_shows 'Show all GPUs'
    terminal_keys Tab Tab Enter
    wait_for 10 terminal_shows 'status 130'
}

@test "container: a pipe or a closed stdin gets the list" {
    run -0 "${BIN}/container" < /dev/null
    [[ "${lines[0]}" == 'Usage: container COMMAND'* ]]
    run -0 "${BIN}/container" <&-
    [[ "${lines[0]}" == 'Usage: container COMMAND'* ]]
    terminal_try "'${BIN}/container' | cat"
    wait_for 10 terminal_shows 'status 0'
    terminal_shows 'Usage: container COMMAND'
}
