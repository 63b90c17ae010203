#!/usr/bin/env bats
# container-remove (container-cleanup): what is lost is said first, the workspace stays.

load helper

setup() {
    setup_ds01
}

teardown() {
    teardown_engine
}

@test "container-remove: names the missing word where nobody can be asked" {
    run -2 --separate-stderr "${BIN}/container-remove" < /dev/null
    [[ "${stderr_lines[0]}" == "container-remove: error: missing NAME (or '--all')" ]]
}

# bats test_tags=engine
@test "container-remove: removes nothing without --yes where nobody can be asked" {
    run -0 "${BIN}/container-create" m1 Debian
    run -2 --separate-stderr "${BIN}/container-remove" m1 < /dev/null
    [[ "${stderr_lines[0]}" == 'container-remove: error: nobody can be asked whether to remove' ]]
    inspect "m1._.${UID}" '{{.Id}}'
}

# bats test_tags=engine
@test "container-remove: takes the container and its prepared image, and leaves the workspace" {
    run -0 "${BIN}/container-create" m2 Debian
    printf 'precious\n' > "${HOME}/workspace/file"
    run -0 --separate-stderr "${BIN}/container-remove" m2 --yes
    [[ "${stderr}" == *"container 'm2' is removed; the workspace '${HOME}/workspace' stays" ]]
    run ! docker inspect "m2._.${UID}"
    run -0 docker images --format '{{.Repository}}:{{.Tag}}'
    [[ "${output}" != *'m2._.'* ]]
    [[ "$(cat "${HOME}/workspace/file")" == precious ]]
    jq -e '.phase == "removed"' "${DS01_ROOT}/var/lib/ds01/container-metadata/m2._.${UID}.json"
}

# bats test_tags=engine
@test "container-remove: refuses a running container, before any other goes" {
    run -0 "${BIN}/container-create" m3 Debian
    run -0 "${BIN}/container-create" m4 Debian
    run -0 "${BIN}/container-start" m4
    run -4 --separate-stderr "${BIN}/container-cleanup" m3 m4 --yes
    [[ "${stderr_lines[0]}" == *"container 'm4' is running" ]]
    [[ "${stderr_lines[1]}" == *"run 'container-stop m4' first, or add '--force'" ]]
    inspect "m3._.${UID}" '{{.Id}}'
    run -0 "${BIN}/container-remove" --all --yes --force
    [[ -z "$(docker ps -aq)" ]]
}

# bats test_tags=engine
@test "container-remove: a name of nobody's is refused before anything goes" {
    run -0 "${BIN}/container-create" m6 Debian
    run -3 --separate-stderr "${BIN}/container-remove" m6 nope --yes
    [[ "${stderr_lines[0]}" == *"container 'nope' not found" ]]
    inspect "m6._.${UID}" '{{.Id}}'
}
