#!/usr/bin/env bats
# Dialogues of more than one step: back to the step before with the answers kept, and at the end the same in one line,
# which does the same when it is typed.

load helper
load images_helper

setup() {
    setup_ds01
    cd -- "${HOME}"
}

teardown() {
    terminal_stop
    teardown_images
}

# Start a command, whose end stays on the screen.
begin() { # <word>...
    terminal_stop
    rm -f -- "${BATS_TEST_TMPDIR}/terminal-status"
    terminal_start_and_stay "$@"
}

shows() { # <text>
    wait_for 20 terminal_shows "$1" || {
        printf 'not on the screen: %s\n' "$1"
        terminal_screen
        return 1
    }
}

# bats test_tags=engine
@test "back: container-export and container-import find folder, file and name" {
    "${BIN}/container-create" first Debian --quiet
    "${BIN}/container-create" second Debian --quiet
    mkdir files
    begin "${BIN}/container-export"
    shows 'Which container?'
    terminal_keys Down Enter
    shows "Folder for 'second.tar'"
    terminal_keys Tab Tab Enter
    shows 'Which container?'
    # The answer is kept: its row is the marked one.
    terminal_keys Enter
    shows "Folder for 'second.tar'"
    terminal_keys Down Down Enter
    shows "${HOME##*/}/files"
    terminal_keys Enter
    shows 'the same in one line: container-export second'
    [[ "$(terminal_status)" == 0 && -s files/second.tar ]]

    # A file that is there is replaced only if the person says so.
    begin env -C files "${BIN}/container-export"
    shows 'Which container?'
    terminal_keys Down Enter
    shows "Folder for 'second.tar'"
    terminal_keys Enter
    shows 'Its content will be lost'
    terminal_keys Enter
    shows "Folder for 'second.tar'"
    terminal_keys Escape
    [[ "$(terminal_status)" == 130 ]]

    begin env -C files "${BIN}/container-import"
    shows 'File to import'
    terminal_keys Down Enter
    shows 'A name for the container'
    terminal_keys Enter
    shows "You already have a container 'second'"
    terminal_keys Enter
    shows 'A name for the container'
    terminal_keys C-u third Enter
    shows 'the same in one line: container-import'
    [[ "$(terminal_status)" == 0 ]]
    run -0 inspect "third._.${UID}" '{{.State.Status}}'
}

# bats test_tags=engine
@test "back: container-run leads back to the list" {
    "${BIN}/container-create" first Debian --quiet
    begin "${BIN}/container-run"
    shows 'Which container?'
    terminal_keys End Enter
    shows 'A name for the container'
    terminal_keys Tab Tab Enter
    shows 'Which container?'
    terminal_keys Home Enter
    shows 'the same in one line: container-run first'
    shows '[first]'
    terminal_keys exit Enter
    [[ "$(terminal_status)" == 0 ]]
}

# bats test_tags=engine
@test "back: image-update keeps its answers; the build shows a gauge, which Ctrl-C ends with 130" {
    local before
    demo_image
    printf 'RUN sleep 60\n' >> ds01/images/demo/Dockerfile
    before="$(docker image inspect --format '{{.Id}}' ds01/root/demo)"
    begin "${BIN}/image-update"
    shows 'Which image?'
    terminal_keys Enter
    shows "What should be done with 'demo'?"
    terminal_keys Enter
    shows 'Which packages?'
    terminal_keys toolz Tab Tab Enter
    shows "What should be done with 'demo'?"
    terminal_keys Tab Tab Enter
    shows 'Which image?'
    terminal_keys Enter
    shows "What should be done with 'demo'?"
    terminal_keys Enter
    shows 'Which packages?'
    terminal_keys C-u toolz Enter
    shows 'with these changes?'
    terminal_shows '<No>' || terminal_keys Tab
    terminal_keys Left Enter
    shows "Image 'demo'"
    shows 'RUN sleep 60'
    terminal_shows 'Ctrl-C ends it cleanly'
    terminal_keys C-c
    shows 'the build was ended; nothing of it stays'
    shows 'the same in one line: image-update demo --add toolz'
    [[ "$(terminal_status)" == 130 ]]
    [[ "$(docker image inspect --format '{{.Id}}' ds01/root/demo)" == "${before}" ]]
}
