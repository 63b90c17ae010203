#!/usr/bin/env bats
# The dialogues by which containers come to be, are used, and go into a file and back.

load helper
load dialogue_helper
load gpu_helper
load images_helper

setup() {
    setup_dialogue
}

teardown() {
    teardown_dialogue
    teardown_images
    teardown_gpus
    if docker tag ds01-test/saved ds01/debian:bookworm 2> /dev/null; then
        docker rmi ds01-test/saved > /dev/null
    fi
}

# Images as image-create makes them, one of root's and one that alice shares.
furnish_images() {
    custom_image root 0 vision 0
    custom_image alice 60001 speech 1
}

custom_image() { # <user> <uid> <name> <shared: 1 or 0> [<architecture>]
    docker build --quiet --tag "ds01/$1/$3" - > /dev/null 2>&1 << END
FROM ds01/debian:bookworm
LABEL ds01.image.uid=$2 ds01.image.user=$1 ds01.image.name=$3 ds01.image.shared=$4
LABEL ds01.image.base="Debian bookworm" ds01.image.framework=Debian ds01.image.architecture=${5:-CPU}
LABEL ds01.image.created=$(date -u +%Y-%m-%dT%H:%M:%SZ)
END
}

# What was there before the walk.
put_back() {
    "${BIN}/container-remove" --all --yes --force --quiet
    rm -rf -- "${HOME}/workspace"
}

# What the engine has of a container, without what is new each time. Prints: it.
made() { # <container>
    docker inspect "$1._.${UID}" | jq -S '.[0] | {Mounts: (.Mounts | sort_by(.Destination)), HostConfig, Config}
        | del(.Config.Hostname, .HostConfig.ContainerIDFile, .Config.Labels["aime.mlc.RUN", "ds01.created"])
        | .Config.Env |= sort | walk(if . == [] then null else . end)'
}

# Type the line that was told: it makes the same container.
makes_the_same_again() { # <container>
    local first line
    # It is the same line in plain lines.
    [[ "${DIALOGUE_MODE}" != plain ]] || return 0
    first="$(made "$1")"
    line="$(conversation | sed -n 's/^.*: the same in one line: //p' | tail -n 1)"
    "${BIN}/container-remove" "$1" --yes --quiet
    # What runs in it may end with any status.
    PATH="${BIN}:${PATH}" bash -c "${line}" > /dev/null || true
    diff <(printf '%s\n' "${first}") <(made "$1")
}

# With simulated GPUs: the images for them, the kinds, one of which is taken, and what that means.
walk_container-create() {
    begins "${BIN}/container-create"
    asks container-create-name 'A name for the container'
    fill 'not a name'
    tells container-create-name-wrong "'not a name' cannot be a name"
    asks --again container-create-name 'A name for the container'
    fill holder
    tells container-create-name-taken "You already have a container 'holder'"
    asks --again container-create-name 'A name for the container'
    fill thesis
    asks container-create-image-gpu 'Which framework or image'
    pick 3
    asks container-create-gpus 'Which GPU'
    pick 4
    asks container-create-wait 'Shall the command wait'
    say_no
    asks --again container-create-gpus 'Which GPU'
    pick 3
    asks --again container-create-ready 'This will run:'
    pick 1
    ends 0 'the same in one line: container-create thesis Debian bookworm --gpus 1g.5gb' 'container  thesis'
    [[ "$(inspect "thesis._.${UID}" '{{index .Config.Labels "ds01.gpu.profiles"}}')" == 1g.5gb ]]
    makes_the_same_again thesis
    "${BIN}/container-remove" thesis --yes --quiet
}

# bats test_tags=engine
@test "dialogues: container-create with GPUs" {
    setup_gpus a100-40 a100-40:3g.20gb,1g.5gb
    furnish_images
    "${BIN}/container-create" holder Debian --gpus 3g.20gb --quiet
    hold_dialogue walk_container-create
}

is_waiting() {
    "${BIN}/gpu-queue" --json | jq -e '.queue | length == 1'
}

# Of the whole host one kind is there, and that is taken: waiting ends when it is given back.
walk_container-create-wait() {
    "${BIN}/container-remove" thesis --yes --quiet 2> /dev/null || true
    "${BIN}/container-create" holder Debian --gpus full --quiet 2> /dev/null || true
    begins "${BIN}/container-create"
    asks container-create-name 'A name for the container'
    fill thesis
    asks container-create-image-gpu 'Which framework or image'
    pick 3
    asks container-create-gpus-taken 'Which GPU'
    pick 3
    asks container-create-wait-full 'Shall the command wait'
    say_yes
    asks --ahead container-create-ready-wait 'This will run:'
    pick 1
    wait_for 30 is_waiting
    "${BIN}/container-remove" holder --yes --quiet
    ends 0 'the same in one line: container-create thesis Debian bookworm --gpus full --wait' 'container  thesis'
    makes_the_same_again thesis
}

# bats test_tags=engine
@test "dialogues: container-create waits for a GPU that is taken" {
    setup_gpus a100-40
    furnish_images
    hold_dialogue walk_container-create-wait
}

# What the default comes to for an image that has use for a GPU; what a quota refuses is told at once, and asked again.
walk_container-create-default() {
    begins "${BIN}/container-create"
    question_is_there 'A name for the container'
    fill thesis
    question_is_there 'Which framework or image'
    pick 1
    sees container-create-gpus-refused 'Which GPU'
    pick 1
    tells container-create-gpus-not-now "'default' cannot be had now: you have 1 GPU"
    question_is_there 'Which GPU'
    leave
    sed -i 's/^    max_gpus: 1$/    max_gpus: null/' "${DS01_ROOT}/etc/ds01/resource-limits.yaml"
    begins "${BIN}/container-create"
    question_is_there 'A name for the container'
    fill thesis
    question_is_there 'Which framework or image'
    pick 1
    sees container-create-gpus-default 'Which GPU'
    pick 1
    question_is_there "'default' cannot be had at once: you would be number 1 in the queue."
    say_yes
    question_is_there 'This will run:'
    terminal_keys Enter
    wait_for 30 is_waiting
    "${BIN}/container-remove" holder --yes --quiet
    ends 0 'the same in one line: container-create thesis --image trains --wait' 'container  thesis'
    [[ "$(inspect "thesis._.${UID}" '{{index .Config.Labels "ds01.gpu.profiles"}}')" == full ]]
}

# bats test_tags=engine
@test "dialogues: container-create tells what the default comes to" {
    setup_gpus a100-40
    custom_image root 0 trains 0 CUDA_ADA
    "${BIN}/container-create" holder Debian --gpus full --quiet
    sed -i '/^  admin:/,$ s/^    max_gpus: null$/    max_gpus: 1/' "${DS01_ROOT}/etc/ds01/resource-limits.yaml"
    hold_once walk_container-create-default
}

# Folders by walking to them and by typing a path; back out of the folders, and what is no folder.
walk_container-create-folders() {
    put_back
    # In plain lines they would all stand there.
    rm -rf -- models/*
    [[ "${DIALOGUE_MODE}" == plain ]] || mkdir models/model-{001..300}
    begins "${BIN}/container-create"
    asks container-create-name 'A name for the container'
    fill thesis
    asks container-create-image 'Which framework or image'
    pick 1
    asks container-create-ready 'This will run:'
    pick 3
    asks --ahead container-create-folder 'Folder for /data'
    back
    sees container-create-ready 'This will run:'
    pick 3
    sees container-create-folder 'Folder for /data'
    pick 3
    sees container-create-folder-inside '/corpus 1'
    pick 1
    sees container-create-ready-data '--data'
    pick 2
    sees container-create-folder-workspace 'Folder for /workspace'
    pick 6
    asks container-create-path 'Path of the folder'
    fill \~/nowhere
    tells container-create-no-folder 'There is no folder'
    sees container-create-folder-workspace 'Folder for /workspace'
    pick 6
    sees container-create-path 'Path of the folder'
    fill \~/project
    sees container-create-folder-typed 'take this folder'
    pick 1
    sees container-create-ready-workspace '--workspace'
    pick 4
    sees container-create-folder-models 'Folder for /models'
    pick 4
    sees container-create-folder-hundreds '/models'
    pick 1
    sees container-create-ready-all '--models'
    pick 1
    ends 0 "the same in one line: container-create thesis Debian bookworm --workspace ${HOME}/project --data" \
        'container  thesis'
    [[ "$(inspect "thesis._.${UID}" '{{index .Config.Labels "aime.mlc.DATA_MOUNT"}}')" == *'/corpus 1' ]]
    makes_the_same_again thesis
}

# bats test_tags=engine
@test "dialogues: container-create finds the folders" {
    mkdir 'corpus 1' project models
    hold_dialogue walk_container-create-folders
}

# Only the image is missing.
walk_container-create-named() {
    put_back
    begins "${BIN}/container-create" thesis --gpus none --json
    asks container-create-named 'Which framework or image'
    pick 1
    ends 0 'the same in one line: container-create thesis --image vision --gpus none --json'
    makes_the_same_again thesis
}

# bats test_tags=engine
@test "dialogues: container-create of a name alone asks for the image" {
    furnish_images
    hold_dialogue walk_container-create-named
}

walk_container-create-base() {
    begins "${BIN}/container-create" thesis Debian
    asks container-create-base 'half a minute'
    say_no
    ends 130 'left without building the base image'
    diff -- "${BATS_TEST_TMPDIR}/before" <(inventory)
}

# bats test_tags=engine
@test "dialogues: container-create offers to build the base image" {
    docker tag ds01/debian:bookworm ds01-test/saved
    docker rmi ds01/debian:bookworm
    hold_dialogue walk_container-create-base
}

# What must fail is told before the first question.
# bats test_tags=engine
@test "dialogues: container-create and -run ask nothing where there is no room, or the policy is broken" {
    local policy="${DS01_ROOT}/etc/ds01/resource-limits.yaml" command DIALOGUE_MODE=whiptail DIALOGUE_PATH="${PATH}"
    "${BIN}/container-create" first Debian --quiet
    sed -i '/^  admin:/,$ s/^    max_containers_per_user: null$/    max_containers_per_user: 1/' "${policy}"
    for command in container-create 'container-create second' 'container-run second'; do
        # shellcheck disable=SC2086 # a command and its words
        begins "${BIN}"/${command}
        [[ "$(terminal_status)" == 4 ]]
        terminal_shows 'you have 1 container, and 1 is allowed'
        ! terminal_shows 'New container' || false
    done
    # A container that is there is used all the same.
    begins "${BIN}/container-run" -- true
    question_is_there 'Which container?'
    pick 1
    ends 0 'the same in one line: container-run first -- true'
    printf 'defaults: {max_cpus: [}\n' > "${policy}"
    begins "${BIN}/container-create"
    [[ "$(terminal_status)" == 6 ]]
    ! terminal_shows 'New container' || false
}

# Esc at a message leaves, too.
# bats test_tags=engine
@test "dialogues: container-create can be left at what it says of a wrong answer" {
    local DIALOGUE_MODE=whiptail DIALOGUE_PATH="${PATH}" DIALOGUE_LEAVE=0
    begins "${BIN}/container-create"
    question_is_there 'A name for the container'
    fill 'not a name'
    question_is_there 'cannot be a name'
    leave
}

walk_container-run() {
    begins "${BIN}/container-run"
    asks container-run 'Which container?'
    pick 1
    wait_for 30 terminal_shows '[first]'
    terminal_keys exit Enter
    ends 0 'the same in one line: container-run first'
}

# A new one, after a way back from it to the list; with what is to run in it.
walk_container-run-new() {
    "${BIN}/container-remove" thesis --yes --quiet 2> /dev/null || true
    rm -rf -- "${HOME}/workspace"
    begins "${BIN}/container-run" -- sh -c 'echo in-$((6*7)); exit 5'
    asks container-run 'Which container?'
    pick 2
    asks container-run-name 'A name for the container'
    fill thesis
    asks container-run-image 'Which framework or image'
    pick 1
    asks container-run-ready 'This will run:'
    pick 1
    ends 5 'the same in one line: container-run thesis Debian bookworm -- sh -c' in-42
    makes_the_same_again thesis
}

# From a new one, all of whose questions are answered, back to one that is there: what was answered is not its.
walk_container-run-back() {
    begins "${BIN}/container-run" -- true
    sees container-run 'Which container?'
    pick 2
    sees container-run-name 'A name for the container'
    fill thesis
    sees container-run-image 'Which framework or image'
    pick 1
    sees container-run-ready 'This will run:'
    back
    question_is_there 'Which framework or image'
    back
    question_is_there 'A name for the container'
    back
    question_is_there 'Which container?'
    pick 1
    ends 0 'the same in one line: container-run first -- true'
    [[ "$(conversation)" != *'are not used'* ]]
}

# bats test_tags=engine
@test "dialogues: container-run" {
    "${BIN}/container-run" first Debian --quiet -- true
    hold_dialogue walk_container-run
    hold_dialogue walk_container-run-new
    "${BIN}/container-remove" thesis --yes --quiet
    hold_once walk_container-run-back
}

# A folder that may not be written, and a file that is there.
walk_container-export() {
    printf 'something else\n' > files/second.tar
    # Root may write everywhere, but for this.
    begins setpriv --bounding-set=-dac_override "${BIN}/container-export"
    asks container-export 'Which container?'
    pick 2
    asks container-export-folder "Folder for 'second.tar'"
    pick 4
    sees container-export-locked '/locked'
    pick 1
    tells container-export-may-not 'You may not write in'
    sees container-export-locked '/locked'
    pick 2
    sees container-export-folder "Folder for 'second.tar'"
    pick 3
    sees container-export-inside '/files'
    pick 1
    asks --ahead container-export-replace 'Replace it?'
    say_no
    sees container-export-inside '/files'
    pick 1
    sees container-export-replace 'Replace it?'
    say_yes
    ends 0 "the same in one line: container-export --force second ${HOME}/files/second.tar" 'is saved in'
    tar -tf files/second.tar > /dev/null
}

# bats test_tags=engine
@test "dialogues: container-export" {
    "${BIN}/container-create" first Debian --quiet
    "${BIN}/container-create" second Debian --quiet
    mkdir files
    mkdir -m 555 locked
    hold_dialogue walk_container-export
}

walk_container-import() {
    "${BIN}/container-remove" copy --yes --quiet 2> /dev/null || true
    begins "${BIN}/container-import"
    asks container-import 'File to import'
    pick 3
    tells container-import-none 'is not a file that'
    sees container-import 'File to import'
    pick 2
    asks container-import-name 'A name for the container'
    fill first
    tells container-import-taken "You already have a container 'first'"
    sees container-import-name-again 'A name for the container'
    fill copy
    ends 0 "the same in one line: container-import ${HOME}/first.tar copy" 'container  copy'
    makes_the_same_again copy
}

# bats test_tags=engine
@test "dialogues: container-import" {
    "${BIN}/container-create" first Debian --quiet
    "${BIN}/container-export" first --quiet
    printf 'foreign\n' > strange.tar
    mkdir files
    hold_dialogue walk_container-import
}
