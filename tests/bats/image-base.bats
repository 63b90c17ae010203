#!/usr/bin/env bats
# image-base: the offline base. tests/run itself builds it with this command before any test.
# shellcheck disable=SC2154 # BIN is set by helper.bash, BATS_* by bats

load helper

setup() {
    setup_ds01
}

teardown() {
    teardown_engine
}

# A `mmdebstrap` first on the PATH. Reads: its body from stdin.
fake_mmdebstrap() {
    mkdir -p "${BATS_TEST_TMPDIR}/fake"
    cat > "${BATS_TEST_TMPDIR}/fake/mmdebstrap"
    chmod +x "${BATS_TEST_TMPDIR}/fake/mmdebstrap"
    PATH="${BATS_TEST_TMPDIR}/fake:${PATH}"
}

@test "image-base: refuses wrong words" {
    run -2 --separate-stderr "${BIN}/image-base" --nonsense
    [[ "${stderr}" == *"image-base: error: unknown option '--nonsense'"* ]]
    run -2 "${BIN}/image-base" word
    run -2 "${BIN}/image-base" --mirror
    run -2 "${BIN}/image-base" --mirror 'no address'
}

@test "image-base: a dry run prints the commands and needs no engine" {
    run -0 --separate-stderr env DOCKER_HOST=unix:///nonexistent "${BIN}/image-base" --dry-run --mirror=http://mirror.example/debian
    [[ "${output}" == *mmdebstrap*--include=python3,sudo,git,*http://mirror.example/debian*'|'*docker*import* ]]
}

@test "image-base: says what to do where no engine answers" {
    run -7 --separate-stderr env DOCKER_HOST=unix:///nonexistent "${BIN}/image-base"
    [[ "${stderr}" == *'image-base: error: the Docker engine does not answer'* && "${stderr}" == *'image-base: hint:'* ]]
}

# bats test_tags=engine
@test "image-base: leaves an image that is there alone" {
    local before
    before="$(docker image inspect --format '{{.Id}}' ds01/debian:bookworm)"
    run -0 --separate-stderr "${BIN}/image-base"
    [[ "${output}" == ds01/debian:bookworm && "$(docker image inspect --format '{{.Id}}' ds01/debian:bookworm)" == "${before}" ]]
}

# bats test_tags=engine
@test "image-base: the image holds what containers need, and apt's sources" {
    run -0 --separate-stderr docker run --rm --network none ds01/debian:bookworm \
        sh -c 'python3 -V && sudo -V > /dev/null && git --version && ps > /dev/null && grep -c bookworm /etc/apt/sources.list'
    [[ "${lines[0]}" == 'Python 3'* && "${lines[1]}" == git* ]]
}

# bats test_tags=engine
@test "image-base: a build that fails half way leaves the old image and nothing else" {
    local before
    docker images --all --quiet --no-trunc | sort > "${BATS_TEST_TMPDIR}/images"
    before="$(docker image inspect --format '{{.Id}}' ds01/debian:bookworm)"
    fake_mmdebstrap << 'F'
#!/bin/sh
tar -C /usr/bin -c env
echo 'E: the mirror went away' >&2
exit 1
F
    run -7 --separate-stderr "${BIN}/image-base" --rebuild
    [[ "${stderr}" == *"the mirror went away"* && "${stderr}" == *"image-base: error: cannot build"* ]]
    [[ "$(docker image inspect --format '{{.Id}}' ds01/debian:bookworm)" == "${before}" ]]
    # What an interrupted build of another test left may have gone with it.
    [[ -z "$(comm -13 "${BATS_TEST_TMPDIR}/images" <(docker images --all --quiet --no-trunc | sort))" ]]
}

# bats test_tags=engine
@test "image-base: Ctrl-C and kill -9 leave the old image; the next build clears the rest" {
    local before signal status id
    before="$(docker image inspect --format '{{.Id}}' ds01/debian:bookworm)"
    keep_base
    fake_mmdebstrap << 'F'
#!/bin/sh
tar -C /usr/bin -c env
touch "$HOME/running"
exec sleep 60
F
    for signal in INT KILL; do
        rm -f -- "${HOME}/running"
        interruptible "${BIN}/image-base" --rebuild
        wait_for 20 test -e "${HOME}/running"
        kill "-${signal}" -- "-${started}"
        status=0
        wait "${started}" || status=$?
        [[ "${signal} ${status}" == 'INT 130' || "${signal} ${status}" == 'KILL 137' ]]
        [[ "${signal}" == KILL ]] || grep -q 'the build was ended; nothing of it stays' "${BATS_TEST_TMPDIR}/out"
        [[ "$(docker image inspect --format '{{.Id}}' ds01/debian:bookworm)" == "${before}" ]]
    done
    fake_mmdebstrap << 'F'
#!/bin/sh
exec tar -C /usr/bin -c env
F
    run -0 --separate-stderr "${BIN}/image-base" --rebuild
    [[ "$(docker image inspect --format '{{.Id}}' ds01/debian:bookworm)" != "${before}" ]]
    return_base
    # What other tests built on a base has its label too, and more layers.
    for id in $(docker images --quiet --filter dangling=true --filter label=ds01.base=bookworm); do
        (($(docker image inspect --format '{{len .RootFS.Layers}}' "${id}") > 1))
    done
}
