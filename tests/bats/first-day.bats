#!/usr/bin/env bats
# The first day of a new Unix user, typed in a terminal: from user-setup to a Python prompt in a container with the
# user's own package.

load helper

setup() {
    setup_ds01
    open_ds01
    home="${BATS_TEST_TMPDIR}/home of alice"
    mkdir -p "${home}"
    chown "$(bench_user alice uid):$(bench_user alice gid)" "${home}"
}

teardown() {
    terminal_stop
    teardown_engine
    docker image rm --force "ds01/$(bench_user alice name)/first" > /dev/null 2>&1 || true
}

# Type a line on an empty screen, and wait for what it leads to.
types() { # <line> <seconds> <text>
    terminal_keys -R
    terminal_keys "$1" Enter
    wait_for "$2" terminal_shows "$3" || {
        printf 'after %s there is no %s:\n' "$1" "$3"
        terminal_screen
        return 1
    }
}

# bats test_tags=engine
@test "first day: user-setup, a project, an image with a package, a container, a Python prompt" {
    terminal_start runuser -u "$(bench_user alice name)" -- env -i "HOME=${home}" "USER=$(bench_user alice name)" \
        "DS01_ROOT=${DS01_ROOT}" "DOCKER_HOST=${DOCKER_HOST}" "PATH=${BIN}:${PATH}" TERM=xterm-256color LC_ALL=C.UTF-8 \
        GIT_CONFIG_SYSTEM=/dev/null 'PS1=new> ' bash --norc -i
    wait_for 10 terminal_shows 'new>'

    types user-setup 20 'There is no folder'
    terminal_keys Enter
    wait_for 20 terminal_shows 'You have no SSH key here'
    terminal_keys Enter
    wait_for 20 terminal_shows 'Git does not know your name'
    terminal_keys Enter
    wait_for 20 terminal_shows 'Your name, as it shall stand'
    terminal_keys 'Alice A.' Enter
    wait_for 20 terminal_shows 'Your e-mail address'
    terminal_keys alice@example.org Enter
    wait_for 20 terminal_shows 'There is no project in your workspace yet'
    terminal_keys Enter
    wait_for 20 terminal_shows 'A name for the project'
    terminal_keys first Enter
    wait_for 20 terminal_shows 'What kind of project'
    terminal_keys Enter
    wait_for 20 terminal_shows 'What should it have?'
    terminal_keys Enter
    wait_for 30 terminal_shows 'project: you have 1 in your workspace'
    [[ -d "${home}/workspace/first/.git" && -s "${home}/.ssh/id_ed25519.pub" ]]

    types 'cd; echo six > workspace/first/requirements.txt' 5 'new>'
    types 'image-create first --project first -f Debian --no-tiers -r workspace/first/requirements.txt --yes; echo made:$?' 150 'made:0'
    # The image called like the container is taken; nothing needs to be asked.
    types 'container-run first' 60 '[first]'
    types 'cd /workspace/first && python3' 20 '>>>'
    types 'import six, os; print("package", six.__name__, os.getuid())' 10 "package six $(bench_user alice uid)"
    types 'exit()' 10 '/workspace/first'
    types 'exit' 30 'new>'
    types 'container-list' 20 exited
}
