# shellcheck shell=bash
# What the bats tests share: a file layout of their own, the commands, users, a terminal.
bats_require_minimum_version 1.5.0

ROOT="$(cd -- "${BATS_TEST_DIRNAME}/../.." && pwd -P)"
readonly ROOT
readonly BIN="${ROOT}/bin"

# A home, configuration and state of this test's own, in a folder with a space and a letter outside ASCII.
setup_ds01() {
    unset DS01_MLC_HOME MLC_ARCH COMMAND_NAME NO_COLOR DOCKER_CONTEXT
    export DS01_ROOT="${BATS_TEST_TMPDIR}/rööt of ds01" HOME="${BATS_TEST_TMPDIR}/höme dir" TERM=dumb
    mkdir -p -- "${DS01_ROOT}/etc/ds01" "${DS01_ROOT}/var/lib/ds01/container-metadata" "${DS01_ROOT}/var/log/ds01" \
        "${HOME}"
    cp -- "${ROOT}"/config/*.yaml "${ROOT}"/config/*.repo "${DS01_ROOT}/etc/ds01/"
}

# Let the bench's other users reach this test's files too; the shared folders are as install.sh makes them.
open_ds01() {
    chmod a+x "${BATS_RUN_TMPDIR}" "${BATS_TEST_TMPDIR%/*}" "${BATS_TEST_TMPDIR}"
    chmod -R a+rX "${DS01_ROOT}"
    chgrp -R ds01t-docker "${DS01_ROOT}/var"
    find "${DS01_ROOT}/var" -type d -exec chmod 2775 {} +
}

# Remove all containers and prepared images. Only ever on the engine that the bench started for itself.
teardown_engine() {
    local found
    [[ -n "${DOCKER_HOST:-}" ]] || return 0
    [[ "${DOCKER_HOST}" == "unix://${BENCH_DIR:?engine tests are run by tests/run}/"* ]] || return 0
    mapfile -t found < <(docker ps --all --quiet)
    ((${#found[@]} == 0)) || docker rm --force --volumes "${found[@]}" > /dev/null
    mapfile -t found < <(docker images --format '{{.Repository}}:{{.Tag}}' | grep -F '._.' || true)
    ((${#found[@]} == 0)) || docker rmi --force "${found[@]}" > /dev/null 2>&1 || true
    return_base
}

# Keep the base image through a test that replaces or removes it; teardown_engine brings it back, however the test ends.
keep_base() {
    docker tag ds01/debian:bookworm ds01t-kept:base
}

# Name the base as it was before, with which other tests go on, and remove what had its name.
return_base() {
    local kept new
    kept="$(docker images --quiet ds01t-kept:base)"
    [[ -n "${kept}" ]] || return 0
    new="$(docker images --quiet ds01/debian:bookworm)"
    docker tag "${kept}" ds01/debian:bookworm
    docker rmi ds01t-kept:base > /dev/null
    [[ -z "${new}" || "${new}" == "${kept}" ]] || docker rmi "${new}" > /dev/null
}

# Start a command in a session of its own, as a terminal does: SIGINT is not ignored there, as it is for a shell's
# background jobs. Sets: started, the process and its group.
interruptible() { # <word>...
    setsid env --default-signal=INT "$@" > "${BATS_TEST_TMPDIR}/out" 2>&1 &
    started=$!
}

# One of the bench's users. Prints: the value of a field (name, uid, gid, home).
bench_user() { # <key> <field>
    jq -r --arg key "$1" --arg field "$2" '.[] | select(.key == $key) | .[$field]' "${BENCH_USERS:?set by tests/run}"
}

# Run a command as one of the bench's users, with that user's home and groups.
as_user() { # <key> <word>...
    local name home
    name="$(bench_user "$1" name)"
    home="$(bench_user "$1" home)"
    shift
    runuser -u "${name}" -- env "HOME=${home}" "USER=${name}" "LOGNAME=${name}" "$@"
}

# The engine's own word on a container. Prints: the value.
inspect() { # <container> <go-template>
    docker inspect --format "$2" "$1"
}

# Wait until a command succeeds. The seconds are what it takes where nothing else runs; it fails long after them only.
wait_for() { # <seconds> <word>...
    local end=$((SECONDS + 90 + 3 * $1))
    shift
    until "$@"; do
        if ((SECONDS >= end)); then
            # What was there instead.
            [[ "$1" != terminal_shows ]] || terminal_screen
            return 1
        fi
        case "$1" in
            terminal_* | is_asked_anew) terminal_says 0.5 || true ;;
            *) sleep 0.1 ;;
        esac
    done
}

# A terminal of 80 by 24 with the given command in it; its status is written to a file when it ends.
terminal_start() { # <word>...
    local words
    # A name of its own each time: the last server may still be going.
    TERMINALS=$((${TERMINALS:-0} + 1))
    TERMINAL="ds01-${BATS_SUITE_TEST_NUMBER}-$$-${TERMINALS}"
    printf -v words '%q ' "$@"
    [[ -z "${TERMINAL_OUTPUT:-}" ]] || exec {TERMINAL_OUTPUT}>&-
    mkfifo -- "${BATS_TEST_TMPDIR}/${TERMINAL}"
    exec {TERMINAL_OUTPUT}<> "${BATS_TEST_TMPDIR}/${TERMINAL}"
    env -u TMUX tmux -L "${TERMINAL}" -f /dev/null new-session -d -x 80 -y 24 -s t \
        "env TERM=xterm-256color ${words}; echo \$? > '${BATS_TEST_TMPDIR}/terminal-status'" \; \
        pipe-pane -O -t t "exec cat > '${BATS_TEST_TMPDIR}/${TERMINAL}'" {TERMINAL_OUTPUT}>&-
}

# Wait until something is written on the terminal, and for the end of it; fails when nothing is for so long.
terminal_says() { # <seconds>
    local rest
    IFS= read -r -t "$1" -N 1 -u "${TERMINAL_OUTPUT}" rest || return
    while IFS= read -r -t 0.02 -N 1024 -u "${TERMINAL_OUTPUT}" rest; do :; done
}

# The same, but the screen stays for a look when the command has ended.
terminal_start_and_stay() { # <word>...
    # shellcheck disable=SC2016 # expanded inside
    terminal_start bash -c '"$@"; status=$?; echo "$status" > "$0"; sleep 60' "${BATS_TEST_TMPDIR}/terminal-status" "$@"
}

terminal_keys() { # <key>...
    tmux -L "${TERMINAL}" send-keys -t t "$@"
}

terminal_screen() {
    tmux -L "${TERMINAL}" capture-pane -p -t t 2> /dev/null
}

terminal_shows() { # <text>
    [[ "$(terminal_screen)" == *"$1"* ]]
}

# Is the screen the one that is kept in tests/screens?
terminal_matches() { # <name>
    local end=$((SECONDS + 90)) screen
    terminal_is_still
    # On a machine with much to do it stands still in the middle, too.
    until screen="$(terminal_screen | normalised)" && is_kept "$1" "${screen}" > /dev/null; do
        ((SECONDS < end)) || { is_kept "$1" "${screen}" && return || return; }
        terminal_says 0.5 || true
    done
}

# Whiptail draws in steps: wait until the screen stands still.
terminal_is_still() {
    while terminal_says 0.2; do :; done
}

# Is the text the one that is kept? DS01_KEEP_SCREENS=1 keeps it anew, for a look at the difference.
is_kept() { # <name> <text>
    local kept="${ROOT}/tests/screens/$1.txt"
    [[ -z "${DS01_KEEP_SCREENS:-}" ]] || printf '%s\n' "$2" > "${kept}"
    diff -u "${kept}" - <<< "$2"
}

# What differs from run to run, in as many letters: the home, sizes and ages of images.
normalised() {
    local home
    # It counts bytes.
    printf -v home '%-*s' "$((${#HOME} + 1))" /home/höme
    sed -E -e "s|${HOME}|${home// /.}|g" -e ':a;s/[0-9](#*MB\b)/#\1/;ta' -e 's/[0-9]+m old/#m old/' \
        -e ':b;s/( [-+~] [a-z]+ #*)[0-9.]/\1#/;tb' -e ':c;s/( [-+~] [a-z]+) ##(#* *)( │)/\1 #\2 \3/;tc' \
        -e 's/( [-+~] [a-z]+) #+($| \[)/\1 #\2/'
}

# The status of the command that ran in the terminal, once it has ended.
terminal_status() {
    wait_for 120 test -s "${BATS_TEST_TMPDIR}/terminal-status" || return 1
    cat -- "${BATS_TEST_TMPDIR}/terminal-status"
}

terminal_stop() {
    [[ -z "${TERMINAL:-}" ]] || tmux -L "${TERMINAL}" kill-server 2> /dev/null || true
}
