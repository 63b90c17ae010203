#!/usr/bin/env bats
# The dialogues of the commands for containers that are there.

load helper
load dialogue_helper

setup() {
    setup_dialogue
}

teardown() {
    teardown_dialogue
    teardown_engine
}

# Two containers, one of which runs.
furnish() {
    "${BIN}/container-remove" --all --force --yes --quiet
    "${BIN}/container-create" rests Debian --quiet
    "${BIN}/container-create" works Debian --quiet
    "${BIN}/container-start" works --quiet
}

walk_container-stop() {
    begins "${BIN}/container-stop"
    asks container-stop 'Which containers?'
    mark 1
    asks container-stop-confirm 'what runs in them ends'
    say_yes
    ends 0 'the same in one line: container-stop --yes works' "container 'works' is stopped"
    "${BIN}/container-start" works --quiet
}

# bats test_tags=engine
@test "dialogues: container-stop" {
    furnish
    hold_dialogue walk_container-stop
}
