#!/usr/bin/env bats
# Gauges of long work that a dialogue led to: an image that is really fetched, from a registry at the end of a slow
# line, a preparation with apt, and the offline base.

load helper
load dialogue_helper

# A registry with an image of several layers, which lacks git so that it is prepared with apt; nothing of it stays with
# the engine but the base.
setup_file() {
    local folder="${BATS_FILE_TMPDIR}" port i
    [[ -n "${DOCKER_HOST:-}" ]] || return 0
    {
        printf 'version: 0.1\nlog: {level: info, accesslog: {disabled: true}}\n'
        printf 'http: {addr: "127.0.0.1:0"}\nstorage: {filesystem: {rootdirectory: "%s"}}\n' "${folder}/registry"
    } > "${folder}/config.yml"
    docker-registry serve "${folder}/config.yml" > "${folder}/log" 2>&1 3>&- &
    printf '%s\n' "$!" > "${folder}/pids"
    wait_for 20 grep -q 'listening on' "${folder}/log"
    port="$(sed -n 's/.*listening on 127.0.0.1:\([0-9]*\).*/\1/p' "${folder}/log" | head -n 1)"
    mkdir "${folder}/context"
    {
        printf 'FROM ds01/debian:bookworm\nRUN dpkg --purge git\n'
        for i in 1 2 3 4; do
            head -c 2M /dev/urandom > "${folder}/context/${i}"
            printf 'COPY %s /opt/\n' "${i}"
        done
    } > "${folder}/context/Dockerfile"
    docker build --quiet --tag "127.0.0.1:${port}/big:1" "${folder}/context" > /dev/null
    docker push --quiet "127.0.0.1:${port}/big:1" > /dev/null
    docker rmi "127.0.0.1:${port}/big:1" > /dev/null
    slow_line
    "${ROOT}/tests/python/slow_line.py" "${port}" "${folder}/rate" > "${folder}/port" 2>&1 3>&- &
    printf '%s\n' "$!" >> "${folder}/pids"
    wait_for 20 test -s "${folder}/port"
}

# A second of the line is 2 MB.
slow_line() {
    printf '2000000\n' > "${BATS_FILE_TMPDIR}/rate"
}

teardown_file() {
    local pid
    [[ -e "${BATS_FILE_TMPDIR}/pids" ]] || return 0
    while read -r pid; do
        kill "${pid}" || true
    done < "${BATS_FILE_TMPDIR}/pids"
}

setup() {
    setup_dialogue
    slow_line
    REGISTRY="127.0.0.1:$(cat "${BATS_FILE_TMPDIR}/port" 2> /dev/null || true)"
    printf 'Big, 1, [CPU], %s/big:1\n' "${REGISTRY}" > "${DS01_ROOT}/etc/ds01/site-images.repo"
}

teardown() {
    teardown_dialogue
    teardown_engine
    [[ -n "${DOCKER_HOST:-}" ]] || return 0
    docker rmi "${REGISTRY}/big:1" > /dev/null 2>&1 || true
}

# Type a command. Writes: how its terminal was before and after, to the files `tty.before` and `tty.after`.
type_command() { # <word>...
    rm -f -- "${BATS_TEST_TMPDIR}/terminal-status"
    terminal_start_and_stay bash -c 'stty -g > "$0.before"; "$@"; status=$?; stty -g > "$0.after"; exit $status' \
        "${BATS_TEST_TMPDIR}/tty" "$@"
}

# Answer the questions of a bare container-create: a name, and the one image of the catalog.
make_bare() { # <name>
    type_command "${BIN}/container-create"
    wait_for 30 terminal_shows 'A name for the container'
    terminal_keys "$1" Enter
    wait_for 30 terminal_shows 'Which framework'
    terminal_keys Enter
    wait_for 30 terminal_shows 'This will run:'
    terminal_keys Enter
}

# Look at the gauge until the command has ended. Where its text matches, the screen is the one that is kept.
# Writes: each percentage and text it showed, to the file `shown`.
look_on() { # [<name of the screen> <regex>]...
    local end=$((SECONDS + 240)) percent text line last='' screen i screens=("$@") kept=''
    : > "${BATS_TEST_TMPDIR}/shown"
    until [[ -s "${BATS_TEST_TMPDIR}/terminal-status" ]]; do
        ((SECONDS < end)) || { terminal_screen && return 1; }
        percent='' text=''
        screen="$(terminal_screen)"
        # One that is being drawn shows half of a number.
        sleep 0.05
        [[ "$(terminal_screen)" == "${screen}" ]] || continue
        while IFS= read -r line; do
            [[ ! "${line}" =~ ' '([0-9]+)%' ' ]] || percent="${BASH_REMATCH[1]}"
            [[ -n "${text}" || ! "${line}" =~ ^' '*'│ '([^│]*[^│ ])' '*'│' ]] || text="${BASH_REMATCH[1]}"
        done <<< "${screen}"
        line="${percent} ${text}"
        [[ -z "${percent}" || "${line}" == "${last}" ]] || printf '%s\n' "${line}" >> "${BATS_TEST_TMPDIR}/shown"
        last="${line}"
        for ((i = 0; i < ${#screens[@]}; i += 2)); do
            [[ "${kept}" != *" ${screens[i]} "* && "${text}" =~ ${screens[i + 1]} ]] || continue
            # It may be drawn just now: then it is the next look's.
            ! is_kept "${screens[i]}" "$(gauge_text <<< "${screen}")" > "${BATS_TEST_TMPDIR}/difference" \
                || kept+=" ${screens[i]} "
        done
        sleep 0.05
    done
    cat -- "${BATS_TEST_TMPDIR}/shown"
    for ((i = 0; i < ${#screens[@]}; i += 2)); do
        [[ "${kept}" == *" ${screens[i]} "* ]] || { cat -- "${BATS_TEST_TMPDIR}/difference" && return 1; }
    done
}

# A screen with a gauge without what differs from run to run, in as many letters.
gauge_text() {
    sed -E -e 's/ ( |[0-9])[0-9]%/ ##%/' -e 's/│ [0-9] s\. (.*) │/│ ## s. \1│/' \
        -e 's/│ [0-9]{2} s\./│ ## s./' -e "s/${REGISTRY}/127.0.0.1:#####/" \
        -e 's/[0-9] of 5 layers, . MB/# of 5 layers, # MB/' -e 's/first [0-9]{2} /first ## /'
}

# The gauge never went back, and showed a line that matches.
showed() { # <regex>...
    local regex
    cut -d ' ' -f 1 "${BATS_TEST_TMPDIR}/shown" | sort -nc
    for regex in "$@"; do
        grep -qE -- "${regex}" "${BATS_TEST_TMPDIR}/shown" || { printf 'not shown: %s\n' "${regex}" && return 1; }
    done
}

# bats test_tags=engine
@test "gauges: a container whose image is fetched and prepared with apt" {
    make_bare fetched
    look_on gauge-fetching 'of 5 layers, . MB$' gauge-preparing 'setting up git$'
    showed '^[1-9][0-9]? fetching the image .*: [1-4] of 5 layers, [1-9] MB' \
        '^8[0-9] preparing .*: step [23] of 3' 'fetching git' 'setting up git'
    [[ "$(terminal_status)" == 0 ]]
    terminal_shows 'the same in one line: container-create fetched Big 1'
    ! terminal_shows 'docker:' || false
    ! terminal_shows 'Pull complete' || false
    diff "${BATS_TEST_TMPDIR}/tty.before" "${BATS_TEST_TMPDIR}/tty.after"
    [[ "$(inspect "fetched._.${UID}" '{{.State.Status}}')" == created ]]
}

# bats test_tags=engine
@test "gauges: Ctrl-C in the middle of fetching leaves nothing, and with words docker's own lines are there" {
    inventory > "${BATS_TEST_TMPDIR}/before"
    make_bare stopped
    wait_for 60 terminal_shows '1 of 5 layers'
    terminal_keys C-c
    [[ "$(terminal_status)" == 130 ]]
    diff "${BATS_TEST_TMPDIR}/tty.before" "${BATS_TEST_TMPDIR}/tty.after"
    terminal_shows "nothing of container 'stopped' stays"
    diff "${BATS_TEST_TMPDIR}/before" <(inventory | grep -v '/workspace ')
    [[ -z "$(ls "${DS01_ROOT}/var/lib/ds01/container-metadata")" ]]
    terminal_stop
    printf '200000000\n' > "${BATS_FILE_TMPDIR}/rate"
    type_command "${BIN}/container-create" stopped Big 1
    wait_for 60 terminal_shows 'Pull complete'
    ! terminal_shows '┌' || false
    [[ "$(terminal_status)" == 0 ]]
}

# bats test_tags=engine
@test "gauges: an image that cannot be fetched is told after the gauge" {
    printf 'Gone, 1, [CPU], %s/gone:1\n' "${REGISTRY}" > "${DS01_ROOT}/etc/ds01/site-images.repo"
    make_bare gone
    [[ "$(terminal_status)" == 3 ]]
    [[ "$(conversation)" == *"no registry gives the image '${REGISTRY}/gone:1'"* ]]
    ! terminal_shows '┌' || false
    terminal_stop
    printf 'Far, 1, [CPU], 127.0.0.1:1/far:1\n' > "${DS01_ROOT}/etc/ds01/site-images.repo"
    make_bare far
    [[ "$(terminal_status)" == 7 ]]
    [[ "$(conversation)" == *"the image '127.0.0.1:1/far:1' cannot be fetched"* ]]
    [[ "$(conversation)" == *'connection refused'* ]]
    [[ -z "$(docker ps --all --quiet)" ]]
}

# bats test_tags=engine
@test "gauges: the offline base is built where a dialogue needs it; Ctrl-C leaves nothing of it" {
    export TMPDIR="${BATS_TEST_TMPDIR}/tmp"
    mkdir -m 755 -- "${TMPDIR}"
    cp -- "${ROOT}/config/site-images.repo" "${DS01_ROOT}/etc/ds01/"
    keep_base
    docker rmi ds01/debian:bookworm > /dev/null
    docker images --all --quiet --no-trunc | sort > "${BATS_TEST_TMPDIR}/images"
    type_command "${BIN}/project-init" thesis --no-git --image
    wait_for 30 terminal_shows 'What should the image of'
    terminal_keys Enter
    wait_for 30 terminal_shows 'is not on this server yet'
    say_yes
    wait_for 60 terminal_shows 'unpacking the first'
    terminal_keys C-c
    [[ "$(terminal_status)" == 130 ]]
    terminal_shows 'the build was ended; nothing of it stays'
    [[ "$(conversation)" == *'project-init thesis --no-git --image --framework Debian --version bookworm'* ]]
    diff "${BATS_TEST_TMPDIR}/tty.before" "${BATS_TEST_TMPDIR}/tty.after"
    # What an interrupted build of another test left may have gone with it.
    [[ -z "$(comm -13 "${BATS_TEST_TMPDIR}/images" <(docker images --all --quiet --no-trunc | sort))" ]]
    [[ -z "$(ls -- "${TMPDIR}")" ]]
    terminal_stop
    # No leads back to the question before; yes, and Ctrl-C.
    type_command "${BIN}/image-create" drawn --no-tiers --json
    wait_for 30 terminal_shows 'What should '
    terminal_keys Enter
    wait_for 30 terminal_shows 'is not on this server yet'
    terminal_shows '<No, back>'
    terminal_keys Enter
    wait_for 30 terminal_shows 'What should '
    terminal_keys Enter
    wait_for 30 terminal_shows 'is not on this server yet'
    say_yes
    wait_for 60 terminal_shows 'the first packages'
    terminal_keys C-c
    [[ "$(terminal_status)" == 130 ]]
    terminal_shows 'the build was ended; nothing of it stays'
    [[ -z "$(docker images --quiet ds01/debian:bookworm)" ]]
    terminal_stop
    make_bare based
    wait_for 20 terminal_shows 'is not on this server yet'
    say_yes
    look_on gauge-base 'unpacking the first'
    [[ "$(terminal_status)" == 0 ]]
    grep -vE 'container|preparing' "${BATS_TEST_TMPDIR}/shown" > "${BATS_TEST_TMPDIR}/base"
    mv -- "${BATS_TEST_TMPDIR}/base" "${BATS_TEST_TMPDIR}/shown"
    showed "Debian's packages: fetching the lists" 'unpacking the first [0-9]+ packages' \
        'the other packages: setting up [a-z]' '^9[0-9] '
    terminal_shows "image 'ds01/debian:bookworm' is ready"
    [[ "$(inspect "based._.${UID}" '{{.State.Status}}')" == created ]]
}

# bats test_tags=engine
@test "gauges: an import shows how much of the file has passed" {
    cp -- "${ROOT}/config/site-images.repo" "${DS01_ROOT}/etc/ds01/"
    "${BIN}/container-create" whole Debian --quiet
    "${BIN}/container-export" whole "${HOME}/whole.tar" --quiet
    # As a command runs it that has asked something.
    type_command env DS01_ASKED=yes "${BIN}/container-import" "${HOME}/whole.tar" again
    look_on
    [[ "$(terminal_status)" == 0 ]]
    showed '^[1-9][0-9]? importing again: [0-9]+ of [0-9]+ MB$' '^[7-9][0-9] preparing the image'
    ! terminal_shows 'step ' || false
}

# bats test_tags=engine
@test "gauges: an export shows how much has passed; Ctrl-C leaves the file as it was" {
    cp -- "${ROOT}/config/site-images.repo" "${DS01_ROOT}/etc/ds01/"
    "${BIN}/container-create" whole Debian --quiet
    type_command env DS01_ASKED=yes "${BIN}/container-export" whole "${HOME}/whole.tar"
    look_on
    [[ "$(terminal_status)" == 0 ]]
    showed '^[1-9][0-9]? exporting whole: [1-9][0-9]* of [0-9]+ MB$'
    [[ "$(conversation)" == *"container 'whole' is saved in '${HOME}/whole.tar'"* ]]
    ! terminal_shows 'step ' || false
    terminal_stop
    # Large enough for a look at it, and anything else in the file, so that it is seen to stay.
    docker start "whole._.${UID}"
    docker exec --user 0 "whole._.${UID}" truncate -s 3G /opt/large
    printf 'older\n' > "${HOME}/whole.tar"
    type_command env DS01_ASKED=yes "${BIN}/container-export" whole "${HOME}/whole.tar" --force
    # Before the gauge is drawn a second time, its keys may still be whiptail's.
    wait_for 20 terminal_shows ' 1 s. Ctrl-C'
    terminal_keys C-c
    [[ "$(terminal_status)" == 130 ]]
    terminal_shows 'that was ended; no file was written'
    diff "${BATS_TEST_TMPDIR}/tty.before" "${BATS_TEST_TMPDIR}/tty.after"
    [[ "$(< "${HOME}/whole.tar")" == older && ! -e "${HOME}/whole.tar.part" ]]
}

# What gauge::container makes of the lines on stdin.
made_of_lines() {
    sed 's/BELL/\x07/' | bash -euo pipefail -c 'PROJECT_ROOT="$1"; source "$1/lib/gauge.bash"; gauge::container' bash "${ROOT}"
}

@test "gauges: both of docker's builders are understood, layers that are here count as nothing, odd letters are no harm" {
    run -0 made_of_lines << 'END'
mlc create: info: fetching the image 'a'
docker: 0123456789aa: Already exists
docker: 0123456789ab: Pulling fs layer
docker: 0123456789ac: Pulling fs layer
docker: 0123456789ab: Downloading 1.5GB/3GB
docker: 0123456789ac: Retrying in 5 seconds
docker: 0123456789ab: Downloading 0B/3GB
docker: 0123456789ab: Pull complete
mlc create: info: preparing the image 'a' (slow the first time only)
docker: #1 [internal] load build definition from Dockerfile
docker: #5 [2/3] RUN ["/bin/sh"]
docker: #5 0.812 2 upgraded, 1 newly installed, 0 to remove and 0 not upgraded.
docker: #5 1.102 Setting up git:amd64 (1:2) ...
docker: #6 [stage-1 3/3] RUN ["/bin/sh"]
docker: #6 0.1 Unpacking
docker: #6 0.1 Unpacking aBELLb (1) ...
mlc create: info: creating the container 'x'
END
    diff - <(printf '%s\n' "${output}") << 'END'
0 making the container
0 fetching the image 'a'
0 fetching the image 'a': 0 of 1 layer
0 fetching the image 'a': 0 of 2 layers
12 fetching the image 'a': 0 of 2 layers, 1500 MB
12 fetching the image 'a': the registry is slow, retrying in 5 seconds
12 fetching the image 'a': 0 of 2 layers
35 fetching the image 'a': 1 of 2 layers
35 preparing the image 'a'
55 preparing the image 'a': step 2 of 3
57 preparing the image 'a': setting up git
75 preparing the image 'a': step 3 of 3
75 preparing the image 'a': unpacking a?b
95 creating the container 'x'
END
}
