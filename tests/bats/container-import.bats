#!/usr/bin/env bats
# container-import: a container back from its file, for its user or another, under the limits.

load helper

setup() {
    setup_ds01
    cd "${HOME}"
}

teardown() {
    teardown_engine
}

@test "container-import: names the missing word, and a file that is not there" {
    run -2 --separate-stderr "${BIN}/container-import" < /dev/null
    [[ "${stderr_lines[0]}" == 'container-import: error: missing FILE' ]]
}

# bats test_tags=engine
@test "container-import: names the nearest file in the folder" {
    touch "${HOME}/other.tar" "${HOME}/thesis.tar"
    run -3 --separate-stderr "${BIN}/container-import" "${HOME}/thesis.tr"
    [[ "${stderr_lines[0]}" == "container-import: error: file '${HOME}/thesis.tr' cannot be read" ]]
    [[ "${stderr_lines[1]}" == "container-import: hint: did you mean '${HOME}/thesis.tar'?" ]]
    cd "${HOME}"
    run -3 --separate-stderr "${BIN}/container-import" thesis
    [[ "${stderr_lines[1]}" == "container-import: hint: did you mean 'thesis.tar'?" ]]
    run -3 --separate-stderr "${BIN}/container-import" nothing/like-it
    [[ "${stderr_lines[1]}" == "container-import: hint: run 'ls -l nothing/' to see what is there" ]]
}

# bats test_tags=engine
@test "container-import: brings files and settings back under a new name, with the limits of now" {
    run -0 "${BIN}/container-run" i1 Debian -- sh -c 'echo kept | sudo tee /opt/file'
    run -0 "${BIN}/container-export" i1 save.tar
    run -0 --separate-stderr "${BIN}/container-import" save.tar i2
    [[ "${lines[0]}" == 'container  i2 (Debian-bookworm, created)' ]]
    [[ "$(inspect "i2._.${UID}" '{{.HostConfig.PidsLimit}}')" -gt 0 ]]
    run -0 --separate-stderr "${BIN}/container-run" i2 -- cat /opt/file
    [[ "${output}" == kept ]]
}

# bats test_tags=engine
@test "container-import: takes the old name by default, and refuses one that is in use" {
    run -0 "${BIN}/container-create" i3 Debian
    run -0 "${BIN}/container-export" i3 save.tar
    run -4 --separate-stderr "${BIN}/container-import" save.tar
    [[ "${stderr}" == *"you already have a container 'i3'"* ]]
    run -0 "${BIN}/container-remove" i3 --yes
    run -0 "${BIN}/container-import" save.tar
    inspect "i3._.${UID}" '{{.Id}}'
}

# bats test_tags=engine
@test "container-import: another user gets a container of their own" {
    open_ds01
    run -0 as_user alice "${BIN}/container-run" i4 Debian -- sh -c 'echo of-alice > ~/note; chmod 600 ~/note'
    as_user alice "${BIN}/container-export" i4 - > save.tar
    chmod a+r save.tar
    run -0 as_user alice "${BIN}/container-remove" i4 --yes
    as_user bob "${BIN}/container-import" - i5 < save.tar
    run -0 --separate-stderr as_user bob "${BIN}/container-run" i5 -- sh -c 'id -un; cat ~/note'
    [[ "${lines[0]}" == ds01t-bob && "${lines[1]}" == of-alice ]]
    run -0 as_user bob "${BIN}/container-remove" i5 --yes
}

# bats test_tags=engine
@test "container-import: a truncated, an altered and a foreign file are refused and leave nothing" {
    run -0 "${BIN}/container-create" i6 Debian
    run -0 "${BIN}/container-export" i6 save.tar
    run -0 "${BIN}/container-remove" i6 --yes
    local images
    images="$(docker images -aq | sort)"
    head -c 20000000 save.tar > truncated.tar
    cp save.tar altered.tar
    printf 'X' | dd of=altered.tar bs=1 seek=30000000 conv=notrunc status=none
    printf 'not a container\n' > foreign.tar
    local file
    for file in truncated altered foreign; do
        run -4 --separate-stderr "${BIN}/container-import" "${file}.tar" i7
        [[ "${stderr}" == *"container-import: error: "* ]]
        run ! docker inspect "i7._.${UID}"
    done
    [[ "$(docker images -aq | sort)" == "${images}" ]]
    run -0 "${BIN}/container-import" save.tar i7
}
