#!/usr/bin/env bats
# Every example of every header runs as it stands in the help, on the engine of the bench. What an example needs that a
# new server does not have is prepared for it by `prepare`; an example that needs more than that fails here.

load helper
load gpu_helper
load images_helper

setup() {
    setup_ds01
    here="${BATS_TEST_TMPDIR}/here"
    mkdir -p -- "${here}" "${HOME}/other" "${BATS_TEST_TMPDIR}/srv/datasets" "${BATS_TEST_TMPDIR}/backup"
    printf 'b\na\nb\n' > "${here}/words"
    cd -- "${here}"
    printf '#!/bin/sh\nprintf "RUN true\\n" >> "$1"\n' > editor
    chmod +x editor
    export PATH="${BIN}:${PATH}" EDITOR="${here}/editor"
    waiting=''
    # Few and small packages by the names of the real ones.
    small_tiers
    sed -i 's/pairs:/cv:/' "${DS01_ROOT}/etc/ds01/packages.yaml"
}

teardown() {
    [[ -z "${waiting:-}" ]] || kill "${waiting}" 2> /dev/null || true
    terminal_stop
    teardown_images
    teardown_gpus
}

# The examples of the launchers whose names match. Prints: launcher, tab, example, one in a line.
examples_of() { # <pattern>
    local file
    for file in "${BIN}"/*; do
        # shellcheck disable=SC2053 # a pattern
        [[ ! -L "${file}" && "${file##*/}" == $1 ]] || continue
        sed -n '/^# Examples:/,/^[^#]/s/^#   //p' "${file}" | sed "s/^/${file##*/}\t/"
    done
}

# The example as it is run here: root needs no sudo, which would hide the bench's engine; folders and people of an
# example are those of this test.
localised() { # <example>
    sed -E "s#^sudo ##; s#(^| )/(srv|backup)/#\1${BATS_TEST_TMPDIR}/\2/#g; s#\balice\b#$(bench_user alice name)#g" <<< "$1"
}

# Several are made at once.
have() { # <container>...
    local name making=()
    for name in "$@"; do
        inspect "${name}._.${UID}" '{{.Id}}' > /dev/null 2>&1 && continue
        container-create "${name}" Debian --quiet > /dev/null &
        making+=("$!")
    done
    for name in "${making[@]}"; do
        wait "${name}"
    done
}

# By docker, which is faster than container-remove.
lack() { # <container>...
    local name
    for name in "$@"; do
        docker rm --force "${name}._.${UID}" > /dev/null 2>&1 || true
    done
}

have_image() { # <image>...
    local name
    for name in "$@"; do
        docker image inspect "ds01/root/${name}" > /dev/null 2>&1 \
            || image-create "${name}" --framework Debian --no-tiers --packages iniconfig --yes --quiet > /dev/null
    done
}

# Images like one that there is, under other names, without a build of their own.
have_images_like() { # <image> <name>...
    local name
    have_image "$1"
    for name in "${@:2}"; do
        printf 'FROM ds01/root/%s\nLABEL ds01.image.name=%s\n' "$1" "${name}" \
            | docker build --quiet --tag "ds01/root/${name}" - > /dev/null 2>&1
    done
}

lack_image() { # <image>
    ! docker image inspect "ds01/root/$1" > /dev/null 2>&1 || image-delete --force --with-source --yes --quiet "$1"
}

# A container in which a package was installed that its image has not. The base has no pip: these are the files that it
# would write.
have_installed() { # <container> <word>...
    lack "$1"
    container-create "$1" "${@:2}" --quiet > /dev/null
    mkdir -p packages/colorama packages/colorama-0.4.6.dist-info
    printf 'Metadata-Version: 2.1\nName: colorama\nVersion: 0.4.6\n' > packages/colorama-0.4.6.dist-info/METADATA
    printf 'pip\n' > packages/colorama-0.4.6.dist-info/INSTALLER
    printf 'colorama/__init__.py,,\ncolorama-0.4.6.dist-info/METADATA,,\n' > packages/colorama-0.4.6.dist-info/RECORD
    : > packages/colorama/__init__.py
    docker cp --quiet packages/. "$1._.${UID}:/usr/local/lib/python3.11/dist-packages/"
}

# One request for a GPU waits while another container has it.
have_waiting() { # <container>
    lack "$1" holder
    container-create holder Debian --gpus 1 --quiet > /dev/null
    container-create "$1" Debian --gpus 1 --wait --quiet > /dev/null 2>&1 &
    waiting=$!
    wait_for 20 queue_has 1
}

queue_has() { # <number>
    [[ "$(gpu-queue --json | jq '.queue | length')" == "$1" ]]
}

# Make what an example needs. Sets: accepted, the statuses that it may end with, and screen, what a dialogue must show.
prepare() { # <example>
    accepted=0 screen=''
    case "$1" in
        *'Pytorch '* | 'image-'*)
            # The real one is 20 GB; the catalog's name for it is what counts here.
            export MLC_ARCH=CUDA_ADA
            docker tag ds01/debian:bookworm aimehub/pytorch-2.8.0-cuda12.6.3
            ;;&
        'image-create vision'*) lack_image vision ;;
        *'--base 2.8.0'*)
            lack_image vision
            image-create vision --framework Pytorch --no-tiers --yes --quiet > /dev/null
            ;;
        'image-delete old-one'*) have_images_like vision old-one old-two ;;
        'image-'*' vision'* | 'container-'*' vision'*) have_image vision ;;&
        'container-create '* | 'container create '* | 'container-run my-project '[A-Z]*) lack my-project ;;
        'container-run job '*) lack job ;;
        'container-import '*)
            [[ -s my-project.tar ]] || { have my-project && container-export my-project --quiet; }
            lack my-project my-copy
            ;;
        'container-save my-project vision')
            have_image vision
            have_installed my-project Debian
            ;;
        # A copy as it is: of the container that there is.
        'container-save my-project snapshot'*) have my-project ;;
        'container-save my-project'*)
            have_image vision
            have_installed my-project --image vision
            ;;
        'container-remove old-one'*) have old-one old-two ;;
        'container-stop '*) have my-project && container-start my-project --quiet ;;
        'gpu-queue cancel '*) have_waiting my-project ;;
        *my-project*) have my-project ;;
        *) ;;
    esac
    case "$1" in
        # What asks a person is asked in a terminal, and left at the question.
        'container-remove my-project') screen='will be removed' ;;
        'image-delete vision') screen='vision' ;;
        'image-create') screen='<Ok>' ;;
        'image-update vision --edit') screen="Build 'vision' anew" ;;
        # A healthy server is not what the bench is; what is found there is for these commands' own tests.
        *ds01*doctor*) accepted='0 6 7' ;;
        'user-setup --check') accepted='0 7' ;;
        'user-setup --yes'*) git config --global user.name A && git config --global user.email a@b.example ;;
        *'--follow'*) accepted=124 ;;
        *) ;;
    esac
}

# Run one example. A dialogue is left by Esc, as a person would who has seen it.
try() { # <example>
    local command status=0
    command="$(localised "$1")"
    if [[ -n "${screen}" ]]; then
        rm -f -- "${BATS_TEST_TMPDIR}/terminal-status"
        terminal_start bash -o pipefail -c "${command}"
        wait_for 20 terminal_shows "${screen}" || { terminal_screen && return 1; }
        terminal_keys Escape
        status="$(terminal_status)"
        [[ "${status}" == 130 ]]
        return
    fi
    local limit=90
    [[ "${accepted}" != 124 ]] || limit=1.5
    timeout "${limit}" bash -o pipefail -c "${command}" < /dev/null > "${BATS_TEST_TMPDIR}/out" 2> "${BATS_TEST_TMPDIR}/err" \
        || status=$?
    [[ " ${accepted} " == *" ${status} "* ]] && return 0
    printf 'status %s\n' "${status}"
    cat -- "${BATS_TEST_TMPDIR}/out" "${BATS_TEST_TMPDIR}/err"
    return 1
}

# Run all examples of some launchers.
try_all() { # <pattern>
    local launcher example count=0 failed=0 begun
    # Loops read from a descriptor of their own: the commands have stdin.
    while IFS=$'\t' read -r -u 9 launcher example; do
        begun="$(date +%s%N)"
        prepare "${example}"
        if try "${example}" 9<&-; then
            count=$((count + 1))
        else
            failed=$((failed + 1))
            printf 'FAILED, of %s: %s\n' "${launcher}" "${example}"
        fi
        printf '%6d ms  %s\n' "$((($(date +%s%N) - begun) / 1000000))" "${example}"
        unset MLC_ARCH
    done 9< <(examples_of "$1")
    printf '%s examples ran, %s failed\n' "${count}" "${failed}"
    ((count > 0 && failed == 0))
}

# Which of the tests below runs the examples of a launcher. Prints: a word that its pattern stands for.
group_of() { # <launcher>
    case "$1" in
        container | container-*) printf 'container\n' ;;
        image-base) printf 'base\n' ;;
        image | image-*) printf 'image\n' ;;
        gpu | gpu-*) printf 'gpu\n' ;;
        ds01 | ds01-* | check-limits | user-setup | project-init) printf 'server\n' ;;
        *) printf 'none\n' ;;
    esac
}

@test "examples: every launcher's are run by one of the tests here" {
    local file
    for file in "${BIN}"/*; do
        [[ "$(group_of "${file##*/}")" != none ]] || { printf '%s\n' "${file}" && return 1; }
        [[ -L "${file}" || -n "$(examples_of "${file##*/}")" ]] || { printf 'none in %s\n' "${file}" && return 1; }
    done
    # These tests are about all groups that there are.
    [[ "$(group_of container-run) $(group_of image-base) $(group_of image)" == 'container base image' ]]
}

# bats test_tags=engine
@test "examples: those of container and container-* run" {
    setup_gpus a100-40 a100-40
    try_all 'container*'
}

# bats test_tags=engine
@test "examples: those of gpu and gpu-* run" {
    setup_gpus a100-40:3g.20gb
    try_all 'gpu*'
}

# bats test_tags=engine
@test "examples: those of image-create, -update and the like run" {
    try_all 'image'
    try_all 'image-[!b]*'
}

# bats test_tags=engine
@test "examples: those of image-base run" {
    local launcher example
    while IFS=$'\t' read -r launcher example; do
        case "${example}" in
            # Half a minute: the test of image-base that does the same with the same words is the run of this one.
            'sudo image-base --rebuild') grep -qF 'run -0 --separate-stderr "${BIN}/image-base" --rebuild' "${BATS_TEST_DIRNAME}/image-base.bats" ;;
            *) prepare "${example}" && try "${example}" ;;
        esac
    done < <(examples_of image-base)
}

# bats test_tags=engine
@test "examples: those about the server, its limits and one's own set-up run" {
    open_ds01
    try_all '@(ds01|ds01-*|check-limits|user-setup|project-init)'
}
