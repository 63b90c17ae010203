#!/usr/bin/env bats
# container-create, from the words to the container in the engine.

load helper
load gpu_helper

setup() {
    setup_ds01
}

teardown() {
    terminal_stop
    teardown_engine
    teardown_gpus
}

@test "container-create: names the missing words where nobody can be asked" {
    run -2 --separate-stderr "${BIN}/container-create" < /dev/null
    [[ -z "${output}" ]]
    [[ "${stderr_lines[0]}" == "container-create: error: missing NAME and FRAMEWORK (or '--image')" ]]
}

# bats test_tags=engine
@test "container-create: a name alone is not enough where there is no image of that name" {
    run -2 --separate-stderr "${BIN}/container-create" x < /dev/null
    [[ "${stderr_lines[0]}" == "container-create: error: missing FRAMEWORK (or '--image')" ]]
}

@test "container-create: refuses a wrong name, too many words, and two kinds of image" {
    local name
    for name in '../x' 'a b' '-x' 'a,b' 'ä' "$(printf 'a%.0s' {1..64})"; do
        run -2 --separate-stderr "${BIN}/container-create" -- "${name}" Debian
        [[ "${stderr_lines[0]}" == *"'${name}' is not a name for a container" ]]
    done
    run -2 --separate-stderr "${BIN}/container-create" x Debian bookworm more
    [[ "${stderr_lines[0]}" == *"unexpected word 'more'" ]]
    run -2 --separate-stderr "${BIN}/container-create" x Debian --image y
    [[ "${stderr_lines[0]}" == *"not both" ]]
    run -2 --separate-stderr "${BIN}/container-create" x Debian --workspace
    [[ "${stderr_lines[0]}" == *"option '--workspace' needs a value" ]]
}

# bats test_tags=engine
@test "container-create: makes a container under the limits of the policy" {
    run -0 --separate-stderr "${BIN}/container-create" c1 debian
    [[ "${lines[0]}" == 'container  c1 (Debian-bookworm, created)' ]]
    [[ "${lines[-1]}" == 'next       container-open c1' ]]
    [[ "${output}" == *"image      ds01/debian:bookworm"* ]]
    [[ "${output}" == *"limits     "*" CPUs, memory "*" processes"* ]]
    [[ "$(inspect "c1._.${UID}" '{{.HostConfig.Privileged}}')" == false ]]
    [[ "$(inspect "c1._.${UID}" '{{.HostConfig.IpcMode}}')" == private ]]
    [[ "$(inspect "c1._.${UID}" '{{.HostConfig.PidsLimit}}')" -gt 0 ]]
    [[ "$(inspect "c1._.${UID}" '{{.HostConfig.Memory}}')" -gt 0 ]]
    [[ "$(inspect "c1._.${UID}" '{{index .Config.Labels "ds01.uid"}}')" == "${UID}" ]]
    [[ -d "${HOME}/workspace" ]]
    jq -e '.phase == "ready"' "${DS01_ROOT}/var/lib/ds01/container-metadata/c1._.${UID}.json"
}

# bats test_tags=engine
@test "container-create: --json prints one object with what the engine made" {
    run -0 --separate-stderr "${BIN}/container-create" c2 Debian bookworm --json
    [[ "${#lines[@]}" -eq 1 ]]
    jq -e '.name == "c2" and .state == "created" and .applied.pids > 0' <<< "${output}"
}

# bats test_tags=engine
@test "container-create: --dry-run prints the mlc command and makes nothing" {
    run -0 --separate-stderr "${BIN}/container-create" c3 Debian --dry-run --gpus 1
    [[ "${#lines[@]}" -eq 1 ]]
    [[ "${output}" == python3\ *mlc.py\ create\ c3\ Debian\ bookworm\ -s\ *-g\ 1* ]]
    run ! inspect "c3._.${UID}" '{{.Id}}'
    [[ ! -e "${HOME}/workspace" ]]
}

# bats test_tags=engine
@test "container-create: mounts folders with spaces and letters outside ASCII" {
    mkdir -p "${HOME}/mein ördner" "${HOME}/dätä" "${HOME}/mödels x"
    run -0 --separate-stderr "${BIN}/container-create" c4 Debian -w "${HOME}/mein ördner" --data="${HOME}/dätä" \
        -m "${HOME}/mödels x" --quiet
    [[ -z "${output}" ]]
    inspect "c4._.${UID}" '{{range .Mounts}}{{.Source}}>{{.Destination}};{{end}}' > "${BATS_TEST_TMPDIR}/mounts"
    grep -qF "${HOME}/mein ördner>/workspace;" "${BATS_TEST_TMPDIR}/mounts"
    grep -qF "${HOME}/dätä>/data;" "${BATS_TEST_TMPDIR}/mounts"
    grep -qF "${HOME}/mödels x>/models;" "${BATS_TEST_TMPDIR}/mounts"
}

# bats test_tags=engine
@test "container-create: refuses a folder that does not exist" {
    run -3 --separate-stderr "${BIN}/container-create" c5 Debian --data "${HOME}/nowhere"
    [[ "${stderr_lines[0]}" == *"the data folder '${HOME}/nowhere' does not exist" ]]
    [[ "${stderr_lines[1]}" == *"hint: run 'mkdir -p "* ]]
}

# bats test_tags=engine
@test "container-create: names the nearest framework and version" {
    run -3 --separate-stderr "${BIN}/container-create" c6 Debain
    [[ "${stderr_lines[0]}" == "container-create: error: framework 'Debain' not found" ]]
    [[ "${stderr_lines[1]}" == "container-create: hint: did you mean 'Debian'?" ]]
    run -3 --separate-stderr "${BIN}/container-create" c6 Debian bokworm
    [[ "${stderr_lines[1]}" == "container-create: hint: did you mean 'bookworm'?" ]]
    run -3 --separate-stderr "${BIN}/container-create" c6 Pytorch --arch CPU
    [[ "${stderr_lines[0]}" == *"has no image for this host's architecture 'CPU'" ]]
}

# bats test_tags=engine
@test "container-create: takes any local image by way of the overlay" {
    docker tag ds01/debian:bookworm ds01-test/my.image:v1.2
    run -0 --separate-stderr "${BIN}/container-create" c7 --image ds01-test/my.image:v1.2
    docker rmi ds01-test/my.image:v1.2
    [[ "${output}" == *'image      ds01-test/my.image:v1.2'* ]]
    [[ "$(inspect "c7._.${UID}" '{{index .Config.Labels "aime.mlc.FRAMEWORK"}}')" == Custom-* ]]
}

# bats test_tags=engine
@test "container-create: refuses what is no image name, and an image that cannot be pulled" {
    run -2 --separate-stderr "${BIN}/container-create" c8 --image 'a b'
    [[ "${stderr_lines[0]}" == *"'a b' is not an image name" ]]
    run --separate-stderr "${BIN}/container-create" c8 --image 127.0.0.1:1/no/such
    [[ "${status}" -ne 0 && "${status}" -ne 2 ]]
    [[ "${stderr}" == *"mlc create: error: cannot fetch the image "* ]]
    [[ "${stderr}" == *"container-create: error: container 'c8' was not made"* ]]
    run ! inspect "c8._.${UID}" '{{.Id}}'
    # Nothing is in the way of a second try.
    run -0 "${BIN}/container-create" c8 Debian
}

# bats test_tags=engine
@test "container-create: refuses a second container of one name" {
    run -0 "${BIN}/container-create" c9 Debian
    run -4 --separate-stderr "${BIN}/container-create" c9 Debian
    [[ "${stderr_lines[0]}" == *"you already have a container 'c9'" ]]
}

# bats test_tags=engine
@test "container-create: two at once make one container" {
    "${BIN}/container-create" c10 Debian > "${BATS_TEST_TMPDIR}/1" 2>&1 &
    local first=$! a=0 b=0
    "${BIN}/container-create" c10 Debian > "${BATS_TEST_TMPDIR}/2" 2>&1 || b=$?
    wait "${first}" || a=$?
    cat "${BATS_TEST_TMPDIR}/1" "${BATS_TEST_TMPDIR}/2"
    [[ "${a} ${b}" == '0 4' || "${a} ${b}" == '4 0' ]]
    [[ "$(docker ps -aq --filter 'name=^c10' | wc -l)" -eq 1 ]]
}

# bats test_tags=engine
@test "container-create: kill -9 at any moment leaves nothing that a second try trips over" {
    local delay pid
    # What a killed run leaves in TMPDIR is swept by a later one.
    export TMPDIR="${BATS_TEST_TMPDIR}"
    for delay in 0.05 0.15 0.25 0.35 0.45 0.55 0.65 0.75 0.9 1.1; do
        # A process group of its own, so that the whole tree dies at once.
        setsid "${BIN}/container-create" c11 Debian > /dev/null 2>&1 &
        pid=$!
        sleep "${delay}"
        kill -KILL -- "-${pid}" 2> /dev/null || true
        wait "${pid}" 2> /dev/null || true
        if docker inspect "c11._.${UID}" > /dev/null 2>&1 \
            && [[ "$(jq -r .phase "${DS01_ROOT}/var/lib/ds01/container-metadata/c11._.${UID}.json")" == ready ]]; then
            run -4 "${BIN}/container-create" c11 Debian
        else
            run -0 "${BIN}/container-create" c11 Debian
        fi
        run -0 "${BIN}/container-remove" c11 --yes
        [[ "$(docker ps -aq | wc -l)" -eq 0 ]]
    done
    run -0 "${BIN}/container-create" c11 Debian
    [[ -z "$(find "${TMPDIR}" -maxdepth 1 -name 'ds01-run.*')" ]]
}

# bats test_tags=engine
@test "container-create: Ctrl-C leaves nothing and gives 130" {
    local delay status
    for delay in 0.2 0.5 0.7 1.1; do
        interruptible "${BIN}/container-create" c12 Debian
        sleep "${delay}"
        # It may have come to its end.
        kill -INT -- "-${started}" 2> /dev/null || true
        status=0
        wait "${started}" || status=$?
        [[ "${status}" -eq 130 || "${status}" -eq 0 ]] || { cat -- "${BATS_TEST_TMPDIR}/out" && return 1; }
        if [[ "${status}" -eq 0 ]]; then
            grep -q '^next  *container-open c12' "${BATS_TEST_TMPDIR}/out"
        else
            run ! docker inspect "c12._.${UID}"
            run -0 "${BIN}/container-create" c12 Debian
        fi
        run -0 "${BIN}/container-remove" c12 --yes
    done
}

# bats test_tags=engine
@test "container-create: a broken policy stops it before anything is made" {
    printf 'max_gpu: 3\n' >> "${DS01_ROOT}/etc/ds01/resource-limits.yaml"
    run -6 --separate-stderr "${BIN}/container-create" c13 Debian
    [[ "${stderr_lines[0]}" == *"resource-limits.yaml:"*"max_gpu: unknown key"* ]]
    run ! docker inspect "c13._.${UID}"
}

@test "container-create: says so when no engine answers" {
    export DOCKER_HOST="unix://${BATS_TEST_TMPDIR}/none.sock"
    run -7 --separate-stderr "${BIN}/container-create" c14 Debian
    [[ "${stderr_lines[0]}" == "container-create: error: no Docker engine answers at "* ]]
    [[ "${stderr_lines[1]}" == *"hint: "* ]]
}

# bats test_tags=engine
@test "container-create: an unwritable state folder stops it with what to do" {
    rm -rf "${DS01_ROOT}/var/lib/ds01"
    printf 'not a folder\n' > "${DS01_ROOT}/var/lib/ds01"
    run --separate-stderr "${BIN}/container-create" c15 Debian
    [[ "${status}" -eq 6 || "${status}" -eq 7 ]]
    [[ "${stderr_lines[0]}" == "container-create: error: "* && "${stderr}" == *"hint: "* ]]
    run ! docker inspect "c15._.${UID}"
}

# bats test_tags=engine
@test "container-create: an ordinary member of the engine's group makes a container of their own" {
    open_ds01
    run -0 --separate-stderr as_user alice "${BIN}/container-create" mine Debian
    local uid
    uid="$(bench_user alice uid)"
    [[ "$(inspect "mine._.${uid}" '{{index .Config.Labels "ds01.user"}}')" == ds01t-alice ]]
    [[ "$(inspect "mine._.${uid}" '{{.Config.User}}')" == "${uid}:"* ]]
    run -0 as_user alice "${BIN}/container-list"
    [[ "${output}" == *mine* ]]
    run -4 --separate-stderr as_user alice "${BIN}/container-create" other Debian --workspace /root
    [[ "${stderr_lines[0]}" == "container-create: error: you may not enter the workspace folder '/root'" ]]
    [[ "${stderr_lines[1]}" == "container-create: hint: run 'ls -ld /root' to see whose it is" ]]
    # Nobody else sees or removes it by that name.
    run -3 as_user bob "${BIN}/container-remove" mine --yes
    run -0 as_user bob "${BIN}/container-list" --all-users
    [[ "${output}" == *mine*ds01t-alice* ]]
    run -0 as_user alice "${BIN}/container-remove" mine --yes
}

# bats test_tags=engine
@test "container-create: works for users whose names are odd" {
    open_ds01
    local key
    for key in ldap digits long huge; do
        run -0 --separate-stderr as_user "${key}" "${BIN}/container-run" odd Debian -- id -un
        [[ "${output}" == "$(bench_user "${key}" name)" ]]
        run -0 as_user "${key}" "${BIN}/container-remove" odd --yes
    done
}

# bats test_tags=engine
@test "container-create: who may not use the engine is told what to ask for" {
    open_ds01
    run -7 --separate-stderr as_user outsider "${BIN}/container-create" x Debian
    [[ "${stderr_lines[0]}" == *"no permission to use the Docker engine"* ]]
    [[ "${stderr_lines[1]}" == *"ask the administrator for the group 'ds01t-docker'"* ]]
}

# bats test_tags=engine
@test "container-create: offers to build the base image, and says how where nobody can be asked" {
    keep_base
    docker rmi ds01/debian:bookworm
    run -3 --separate-stderr "${BIN}/container-create" c16 Debian < /dev/null
    [[ "${stderr_lines[0]}" == *"image 'ds01/debian:bookworm' is not on this server" ]]
    [[ "${stderr_lines[1]}" == *"run 'image-base'"* ]]
}

# bats test_tags=engine
@test "container-create: --guided explains container, image and workspace, and says what to do next" {
    terminal_start_and_stay "${BIN}/container-create" --guided
    wait_for 20 terminal_shows 'What a container is'
    terminal_keys Enter
    wait_for 20 terminal_shows 'A name for the container'
    terminal_keys guided Enter
    wait_for 20 terminal_shows 'What an image is'
    terminal_keys Enter
    wait_for 20 terminal_shows 'Which framework'
    terminal_keys Enter
    wait_for 20 terminal_shows 'What the workspace is'
    terminal_keys Enter
    wait_for 20 terminal_shows 'This will run:'
    terminal_keys Enter
    wait_for 30 terminal_shows "Your container 'guided' is there."
    [[ "$(terminal_status)" == 0 ]]
}

# bats test_tags=engine
@test "container-create: site hooks see the request, and a failing pre hook stops it" {
    local hooks="${DS01_ROOT}/etc/ds01/hooks.d/container-create"
    mkdir -p "${hooks}"
    printf '#!/bin/sh\ncat > "%s/pre.json"\n' "${BATS_TEST_TMPDIR}" > "${hooks}/pre-10-note"
    printf '#!/bin/sh\ncat > "%s/post.json"\n' "${BATS_TEST_TMPDIR}" > "${hooks}/post-10-note"
    chmod +x "${hooks}"/*
    run -0 "${BIN}/container-create" c17 Debian
    jq -e '.command == "container-create" and .name == "c17" and .framework == "Debian"' "${BATS_TEST_TMPDIR}/pre.json"
    jq -e '.name == "c17" and .status == 0' "${BATS_TEST_TMPDIR}/post.json"
    printf '#!/bin/sh\necho "not on Fridays" >&2\nexit 3\n' > "${hooks}/pre-20-refuse"
    chmod +x "${hooks}/pre-20-refuse"
    run -4 --separate-stderr "${BIN}/container-create" c18 Debian
    [[ "${stderr}" == *'not on Fridays'*"the site hook 'pre-20-refuse' refused with status 3"* ]]
    run ! docker inspect "c18._.${UID}"
}

# bats test_tags=engine
@test "container-create: on a host with GPUs an image for CPU gets none unless it is asked for" {
    setup_gpus a100-40
    run -0 --separate-stderr "${BIN}/container-create" c20 Debian --dry-run
    [[ "${output}" == *' -arch CUDA_ADA '*' -g 0' ]]
    run -0 --separate-stderr "${BIN}/container-create" c20 Debian --gpus 1 --dry-run
    [[ "${output}" == *' -g 1' ]]
    run -0 --separate-stderr "${BIN}/container-create" c20 Pytorch --dry-run
    [[ "${output}" == *' create c20 Pytorch 2.8.0 '* && "${output}" != *' -g '* ]]
}

# bats test_tags=engine
@test "container-create: what the gateway refuses ends with its own reason, hint and status" {
    run -4 --separate-stderr "${BIN}/container-create" c19 Debian -w /etc
    [[ "${stderr}" == *"container-create: error: '/etc' cannot be mounted: '/etc' belongs to the server"* ]]
    [[ "${stderr_lines[-1]}" == 'container-create: hint: mount a folder of your own' ]]
    # Once: not by mlc too.
    [[ "$(grep -c 'error: ' <<< "${stderr}")" == 1 ]]
    run ! docker inspect "c19._.${UID}"
}
