#!/usr/bin/env bats
# container-export and what it refuses; container-import.bats brings the files back.

load helper

setup() {
    setup_ds01
    cd "${HOME}"
}

teardown() {
    teardown_engine
}

@test "container-export: names the missing word where nobody can be asked" {
    run -2 --separate-stderr "${BIN}/container-export" < /dev/null
    [[ "${stderr_lines[0]}" == 'container-export: error: missing NAME' ]]
}

# bats test_tags=engine
@test "container-export: writes one file, does not replace another unless told, and logs it" {
    run -0 "${BIN}/container-create" e1 Debian
    run -0 --separate-stderr "${BIN}/container-export" e1
    [[ "${stderr}" == *"container 'e1' is saved in 'e1.tar'" ]]
    [[ -s "${HOME}/e1.tar" ]]
    tar -tf "${HOME}/e1.tar" | head -n 1 | grep -q json
    run -4 --separate-stderr "${BIN}/container-export" e1
    [[ "${stderr_lines[0]}" == "container-export: error: file 'e1.tar' exists" ]]
    run -3 --separate-stderr "${BIN}/container-export" e1 nowhere/e1.tar
    [[ "${stderr_lines[0]}" == *"there is no folder for 'nowhere/e1.tar'" ]]
    run -0 "${BIN}/container-export" e1 --force
    grep -q '"type":"exported"' "${DS01_ROOT}/var/log/ds01/events.jsonl"
}

# bats test_tags=engine
@test "container-export: streams to stdout" {
    run -0 "${BIN}/container-create" e2 Debian
    "${BIN}/container-export" e2 - > "${HOME}/stream"
    tar -tf "${HOME}/stream" > /dev/null
}

# bats test_tags=engine
@test "container-export: refuses a container that does not exist and leaves no file" {
    run -3 --separate-stderr "${BIN}/container-export" nope
    [[ "${stderr_lines[0]}" == "container-export: error: container 'nope' not found" ]]
    [[ -z "$(find "${HOME}" -name '*.tar*')" ]]
}

# bats test_tags=engine
@test "container-export: a folder that cannot be written to leaves nothing" {
    open_ds01
    run -0 as_user alice "${BIN}/container-create" e3 Debian
    run --separate-stderr as_user alice "${BIN}/container-export" e3 /etc/e3.tar
    [[ "${status}" -ne 0 ]]
    [[ ! -e /etc/e3.tar ]]
    run -0 as_user alice "${BIN}/container-remove" e3 --yes
}
