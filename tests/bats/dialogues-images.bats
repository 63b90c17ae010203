#!/usr/bin/env bats
# The dialogues of the commands for images, and the gauge of what takes long.

load helper
load images_helper
load dialogue_helper

setup_file() {
    # Built anew, since its age stands on the screens.
    rm -rf -- "${BATS_RUN_TMPDIR}/demo-source"
}

setup() {
    # What is rendered for BuildKit is other than what the kept screens show.
    export DOCKER_BUILDKIT=0
    setup_dialogue
    small_tiers
}

teardown() {
    teardown_dialogue
    teardown_images
}

# The image as it was at first, whatever a walk made of it.
fresh_demo() {
    docker rmi --force --no-prune ds01/root/demo > /dev/null 2>&1 || true
    rm -rf -- ds01/images/demo
    demo_image
}

# Leave the question that is there, which another walk does with nothing done.
leaves() {
    if [[ "${DIALOGUE_MODE}" == plain ]]; then terminal_keys C-d; else terminal_keys Escape; fi
    ends 130 "$@"
}

walk_image-create() {
    begins "${BIN}/image-create"
    asks image-create 'A name for the image'
    fill wizard
    asks image-create-base "What should 'wizard' be built on?"
    pick 1
    asks image-create-tiers 'Which tiers should it have?'
    go_on
    asks image-create-fields 'Which fields is it for'
    mark 1
    asks image-create-python 'Python packages of your own'
    fill 'iniconfig rich>=10'
    asks image-create-debian 'Debian packages of your own'
    fill tree
    asks image-create-summary 'The same in one line:'
    pick 3
    ends 0 "the same in one line: image-create wizard --framework Debian --version bookworm --type colour\
 --packages 'iniconfig rich>=10' --system tree --dry-run" 'FROM ds01/debian:bookworm' '#   iniconfig, rich>=10'
}

# Names that cannot be, a base by its name, a package that does not exist, and what the summary offers.
walk_image-create-other() {
    begins "${BIN}/image-create"
    passes 'A name for the image'
    fill 'Bad name'
    tells image-create-bad-name "'Bad name' is not a name for an image"
    passes 'A name for the image'
    fill demo
    tells image-create-taken "You have an image 'demo' already."
    passes 'A name for the image'
    fill other
    passes "What should 'other' be built on?"
    pick 2
    asks image-create-other "The image, as 'docker images' shows it"
    fill ds01/debian:bookworm
    passes 'Which tiers should it have?'
    mark 1
    passes 'Which fields is it for'
    go_on
    passes 'Python packages of your own'
    fill nosuchpackage-ds01
    passes 'Debian packages of your own'
    go_on
    passes 'The same in one line:'
    pick 2
    tells image-create-no-package "There is no Python package 'nosuchpackage-ds01'"
    passes 'Python packages of your own'
    fill toolz
    passes 'Debian packages of your own'
    go_on
    passes 'The same in one line:'
    pick 4
    asks --again image-create-folder 'Folder of the source'
    pick 4
    passes "${HOME}/sources"
    pick 1
    passes 'its source is in'
    pick 5
    asks --again image-create-shared 'this server may use it: yes'
    pick 2
    ends 0 "the same in one line: image-create other --from ds01/debian:bookworm --project" \
        '--no-tiers --packages toolz --shared --no-build' 'next       image-update other --rebuild'
    [[ -s sources/image.yaml ]]
    "${BIN}/image-delete" other --with-source --yes --quiet
    mkdir -p sources
}

walk_image-create-named() {
    begins "${BIN}/image-create" named --no-tiers
    asks image-create-named "What should 'named' be built on?"
    pick 1
    ends 0 'the same in one line: image-create named --framework Debian --version bookworm --no-tiers' \
        'container-run my-project --image named'
    "${BIN}/image-delete" named --with-source --yes --quiet
}

walk_image-update() {
    fresh_demo
    begins "${BIN}/image-update"
    asks image-update 'Which image?'
    pick 1
    asks image-update-what "What should be done with 'demo'?"
    pick 1
    asks image-update-add 'Which Python packages should be added?'
    go_on
    tells image-update-empty 'Name at least one package'
    passes 'Which Python packages should be added?'
    fill nosuchpackage-ds01
    tells image-update-no-package "There is no Python package 'nosuchpackage-ds01'"
    passes 'Which Python packages should be added?'
    fill toolz
    asks image-update-confirm 'with these changes?'
    say_yes
    ends 0 'the same in one line: image-update demo --add toolz --yes' 'image      demo (ds01/root/demo:latest, '
}

# No leads back with the answers kept, so that one dialogue shows all that can be done.
walk_image-update-others() {
    begins "${BIN}/image-update"
    passes 'Which image?'
    pick 1
    passes "What should be done with 'demo'?"
    pick 2
    asks image-update-add-system 'Which Debian packages should be added?'
    fill tree
    asks image-update-add-system-confirm '+        tree='
    say_no
    passes 'Which Debian packages should be added?'
    back
    passes "What should be done with 'demo'?"
    pick 3
    asks --again image-update-remove 'Which packages should be removed?'
    fill iniconfig
    asks image-update-remove-confirm '-#   iniconfig'
    say_no
    passes 'Which packages should be removed?'
    back
    passes "What should be done with 'demo'?"
    pick 6
    asks image-update-rebuild-confirm "Build 'demo' anew, as its source is now?"
    say_no
    passes "What should be done with 'demo'?"
    pick 5
    ends 0 'the same in one line: image-update demo --upgrade' "image 'demo' is as its source says"
}

walk_image-update-edit() {
    fresh_demo
    begins env "EDITOR=${BATS_TEST_TMPDIR}/editor --wait" "${BIN}/image-update"
    passes 'Which image?'
    pick 1
    passes "What should be done with 'demo'?"
    pick 4
    does_and_tells 'nothing is built; the Dockerfile is as you left it'
    asks image-update-edit-confirm "Build 'demo'"
    say_yes
    ends 0 'the same in one line: image-update demo --edit --yes'
    [[ "$(docker run --rm --network none ds01/root/demo cat /edited)" == edited ]]
}

# A rendered part that was edited by hand.
walk_image-update-decide() {
    fresh_demo
    sed -i 's/^FROM .*/&\nRUN echo mine > \/mine/' ds01/images/demo/Dockerfile
    begins "${BIN}/image-update" demo
    tells image-update-edited 'was edited by hand:'
    asks image-update-decide 'What shall become of the edit?'
    pick 2
    asks image-update-render-again '-RUN echo mine > /mine'
    say_no
    passes 'What shall become of the edit?'
    pick 1
    asks image-update-adopt '-# <<< DS01 renders'
    say_yes
    ends 0 'the same in one line: image-update demo --adopt --yes'
    grep -q '^RUN echo mine' ds01/images/demo/Dockerfile
    [[ "$(docker run --rm --network none ds01/root/demo cat /mine)" == mine ]]
}

walk_image-show() {
    begins "${BIN}/image-show"
    asks image-show 'Which image?'
    pick 1
    ends 0 'the same in one line: image-show demo' 'MADE BY'
}

walk_image-list() {
    begins "${BIN}/image-list" --interactive
    asks image-list 'Which image?'
    pick 1
    asks image-list-what "What shall be done with 'demo'?"
    pick 1
    ends 0 'the same in one line: image-show demo' 'MADE BY'
}

walk_image-delete() {
    fresh_demo
    begins "${BIN}/image-delete" --force
    asks image-delete 'Which images?'
    mark 1
    asks image-delete-confirm 'These images will be deleted'
    say_yes
    ends 0 'the same in one line: image-delete --force demo --yes' "image 'demo' is deleted"
    [[ -s ds01/images/demo/image.yaml ]]
}

walk_image-delete-used() {
    begins "${BIN}/image-delete"
    asks image-delete 'Which images?'
    mark 1
    tells image-delete-used "Image 'demo' is used by c1"
    passes 'Which images?'
    leaves 'left without doing anything'
}

walk_container-save() {
    begins "${BIN}/container-save"
    asks container-save 'Which container?'
    pick 2
    asks container-save-image 'A name for the image'
    fill 'No Name'
    tells container-save-bad-name "'No Name' is not a name for an image"
    passes 'A name for the image'
    fill saved
    asks container-save-confirm "Make an image 'saved' with this and build it?"
    say_yes
    ends 0 'the same in one line: container-save loose saved --yes' 'image      saved (ds01/root/saved:latest, '
    "${BIN}/image-delete" saved --with-source --force --yes --quiet
}

# What has an image of the user's goes into that; where nothing was installed, that is told.
walk_container-save-known() {
    begins "${BIN}/container-save"
    passes 'Which container?'
    pick 3
    asks container-save-known "Put this into the source of image 'demo' and build it?"
    say_no
    passes 'Which container?'
    pick 1
    passes 'A name for the image'
    fill saved
    tells container-save-nothing "No packages were installed in container 'empty'"
    passes 'A name for the image'
    leaves 'left without doing anything'
}

walk_container-save-commit() {
    begins "${BIN}/container-save" empty copy --commit
    asks container-save-commit "Make image 'copy' a copy of container 'empty' as it is?"
    say_yes
    ends 0 'the same in one line: container-save empty copy --commit --yes'
    "${BIN}/image-delete" copy --yes --quiet
}

# bats test_tags=engine
@test "dialogues: image-create, step by step" {
    hold_dialogue walk_image-create
    [[ ! -e ds01 ]]
}

# bats test_tags=engine
@test "dialogues: image-create, what is wrong and what the summary offers" {
    demo_image
    mkdir sources
    hold_dialogue walk_image-create-other
}

# bats test_tags=engine
@test "dialogues: image-create with a name, image-show and image-list --interactive" {
    hold_dialogue walk_image-create-named
    demo_image
    hold_dialogue walk_image-show
    hold_dialogue walk_image-list
}

# bats test_tags=engine
@test "dialogues: image-update" {
    hold_dialogue walk_image-update
}

# bats test_tags=engine
@test "dialogues: image-update, all that can be done" {
    demo_image
    hold_dialogue walk_image-update-others
}

# bats test_tags=engine
@test "dialogues: image-update, the Dockerfile in the editor" {
    # The same however often it is come to.
    printf '#!/bin/sh\ngrep -q edited "$2" || echo "RUN echo edited > /edited" >> "$2"\n' > "${BATS_TEST_TMPDIR}/editor"
    chmod +x "${BATS_TEST_TMPDIR}/editor"
    unset VISUAL
    hold_dialogue walk_image-update-edit
}

# bats test_tags=engine
@test "dialogues: image-update, a Dockerfile that was edited by hand" {
    hold_dialogue walk_image-update-decide
}

# bats test_tags=engine
@test "dialogues: image-delete tells of the container that was made of it" {
    demo_image
    "${BIN}/container-create" c1 --image demo --quiet
    hold_dialogue walk_image-delete-used
    hold_dialogue walk_image-delete
}

# bats test_tags=engine
@test "dialogues: container-save" {
    demo_image
    "${BIN}/container-create" empty Debian --quiet
    "${BIN}/container-run" loose Debian --quiet -- sudo sh -c 'apt-get update && apt-get install -y tree' > /dev/null
    "${BIN}/container-run" work --image demo --quiet -- sudo -E uv pip install --system --break-system-packages -q toolz
    hold_dialogue walk_container-save
    hold_dialogue walk_container-save-known
    hold_dialogue walk_container-save-commit
}

# A place that takes a question and never answers. Sets: port.
start_silence() {
    python3 -c 'import socket, sys, time
it = socket.create_server(("127.0.0.1", 0), backlog=64)
print(it.getsockname()[1], flush=True)
time.sleep(300)' > "${BATS_TEST_TMPDIR}/port" 3>&- &
    silence=$!
    wait_for 10 test -s "${BATS_TEST_TMPDIR}/port"
    port="$(< "${BATS_TEST_TMPDIR}/port")"
}

one_container() {
    [[ "$(docker ps -q | wc -l)" == 1 ]]
}

no_containers() {
    [[ -z "$(docker ps -aq)" ]]
}

# bats test_tags=engine
@test "dialogues: working out versions shows a gauge, which Ctrl-C ends with 130 and nothing left" {
    local DIALOGUE_MODE=whiptail DIALOGUE_PATH="${PATH}"
    start_silence
    begins "${BIN}/image-create" slow --packages toolz --no-tiers \
        "--pip-option=--index-url http://127.0.0.1:${port}/simple"
    question_is_there "What should 'slow' be built on?"
    terminal_keys Enter
    question_is_there "versions of the Python packages of 'own'"
    terminal_shows "Image 'slow'"
    terminal_shows 'Ctrl-C ends it cleanly'
    wait_for 20 one_container
    # Once the gauge has given the key back that whiptail takes at its start.
    wait_for 20 terminal_shows ' 3 s. Ctrl-C'
    terminal_keys C-c
    [[ "$(terminal_status)" == 130 ]]
    terminal_shows 'left without doing anything'
    wait_for 20 no_containers
    diff "${BATS_TEST_TMPDIR}/before" <(inventory)
    kill "${silence}"
}

# bats test_tags=engine
@test "dialogues: a build shows a gauge, which Ctrl-C ends with 130 and nothing left" {
    local before DIALOGUE_MODE=whiptail DIALOGUE_PATH="${PATH}"
    demo_image
    printf 'RUN sleep 60\n' >> ds01/images/demo/Dockerfile
    before="$(image_id demo)"
    # No is the default, and leaves where nothing was asked before.
    begins "${BIN}/image-update" demo --add toolz
    question_is_there 'with these changes?'
    terminal_keys Enter
    ends 130 'left without doing anything'
    [[ "$(image_id demo)" == "${before}" ]]
    begins "${BIN}/image-update" demo --add toolz
    question_is_there 'with these changes?'
    say_yes
    question_is_there 'RUN sleep 60'
    terminal_shows "Image 'demo'"
    terminal_shows 'Ctrl-C ends it cleanly'
    terminal_keys C-c
    [[ "$(terminal_status)" == 130 ]]
    terminal_shows 'the build was ended; nothing of it stays'
    terminal_shows 'the same in one line: image-update demo --add toolz --yes'
    [[ "$(image_id demo)" == "${before}" ]]
}
