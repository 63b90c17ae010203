#!/usr/bin/env bats
# The first dialogue of every bare command: what it asks, that Esc leaves with nothing done, and the same in plain lines.
# What the dialogues lead to is tested with each command.

load helper

# The commands that ask, and a word of what they ask first.
declare -gA FIRST=(
    ['container']='What do you want to do?' ['gpu']='What do you want to do?' ['image']='What do you want to do?'
    ['ds01']='What do you want to do?' ['container-create']='A name for the container' ['container-run']='Which container?'
    ['container-open']='Which container?' ['container-start']='Which containers?' ['container-stop']='Which containers?'
    ['container-remove']='Which containers?' ['container-export']='Which container?' ['container-import']='File to import'
    ['container-keep']='Which container?' ['container-why']='Which container?' ['container-save']='Which container?'
    ['gpu-explain']='Which container?' ['image-create']='A name for the image' ['image-update']='Which image?'
    ['image-show']='Which image?' ['image-delete']='Which images?' ['project-init']='A name for the project'
    ['user-setup']='you have no SSH key here' ['ds01-config']='What do you want to do?'
)
# These print, or take docker's words; bare.bats has them.
readonly ASK_NOTHING=' check-limits container-list container-stats ds01-docker ds01-doctor ds01-events ds01-lifecycle
    ds01-report gpu-queue gpu-status image-base image-list '

setup() {
    setup_ds01
}

teardown() {
    terminal_stop
    teardown_engine
    docker image rm --force ds01/root/asked > /dev/null 2>&1 || true
}

# A container that runs, one that does not, and an image.
furnish() {
    "${BIN}/container-create" works Debian --quiet
    "${BIN}/container-start" works --quiet
    "${BIN}/container-create" rests Debian --quiet
    "${BIN}/image-create" asked --framework Debian --no-tiers --yes --quiet
}

# What there is, for a look at whether a dialogue that was left did anything.
inventory() {
    docker ps --all --format '{{.Names}} {{.State}}'
    docker images --format '{{.Repository}}' | sort
    find "${HOME}" -not -path '*/.cache*' | sort
}

# Fails with the screen if it does not show the words.
shows_first() { # <command>
    wait_for 20 terminal_shows "${FIRST[$1]}" || {
        printf '%s does not ask %s:\n' "$1" "${FIRST[$1]}"
        terminal_screen
        return 1
    }
}

@test "dialogues: every command is known here" {
    local file name
    for file in "${BIN}"/*; do
        name="${file##*/}"
        [[ -n "${FIRST[${name}]:-}" || "${ASK_NOTHING}" == *" ${name}"[[:space:]]* || -L "${file}" ]] \
            || { printf 'not known: %s\n' "${name}" && return 1; }
    done
}

# bats test_tags=engine
@test "dialogues: each first screen fits, and Esc leaves with 130 and nothing done" {
    local name before
    furnish
    before="$(inventory)"
    for name in "${!FIRST[@]}"; do
        rm -f -- "${BATS_TEST_TMPDIR}/terminal-status"
        terminal_start "${BIN}/${name}"
        shows_first "${name}"
        [[ "$(terminal_screen | grep -c '┌')" == 1 && "$(terminal_screen | grep -c '└')" == 1 ]] || { terminal_screen && return 1; }
        terminal_keys Escape
        [[ "$(terminal_status)" == 130 ]] || { printf '%s: %s\n' "${name}" "$(terminal_status)" && return 1; }
        terminal_stop
    done
    diff <(printf '%s\n' "${before}") <(inventory)
}

# bats test_tags=engine
@test "dialogues: without whiptail each asks the same in plain lines, and the end of the input leaves" {
    local name before
    furnish
    before="$(inventory)"
    mkdir -p "${BATS_TEST_TMPDIR}/bin"
    cp --symbolic-link --no-clobber /usr/bin/* /bin/* /usr/sbin/* "$(dirname "$(type -P docker)")"/* "${BATS_TEST_TMPDIR}/bin" 2> /dev/null || true
    rm "${BATS_TEST_TMPDIR}/bin/whiptail"
    for name in "${!FIRST[@]}"; do
        rm -f -- "${BATS_TEST_TMPDIR}/terminal-status"
        terminal_start env "PATH=${BATS_TEST_TMPDIR}/bin" "${BIN}/${name}"
        shows_first "${name}"
        terminal_keys C-d
        [[ "$(terminal_status)" == 130 ]] || { printf '%s: %s\n' "${name}" "$(terminal_status)" && return 1; }
        terminal_stop
    done
    diff <(printf '%s\n' "${before}") <(inventory)
}
