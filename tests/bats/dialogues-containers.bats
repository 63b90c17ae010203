#!/usr/bin/env bats
# The dialogues of the commands for containers that are there, of the GPUs, of the bare nouns and of ds01-config.

load helper
load dialogue_helper
load gpu_helper

setup() {
    setup_dialogue
}

teardown() {
    teardown_dialogue
    # It would take what the others leave.
    [[ -z "${WAITER:-}" ]] || { "${BIN}/gpu-queue" cancel queues && wait "${WAITER}" || true; }
    teardown_engine
    teardown_gpus
}

# Two containers, one of which runs.
furnish() {
    "${BIN}/container-create" rests Debian --quiet
    "${BIN}/container-create" works Debian --quiet
    "${BIN}/container-start" works --quiet
}

# Let the lifecycle remember that a running container idles.
idles() { # <name>
    local now
    now="$(date +%s)"
    jq -n --arg name "$1" --argjson uid "${UID}" --arg now "$(stamp "${now}")" \
        --arg active "$(stamp "$((now - 100000))")" --arg stops "$(stamp "$((now + 13000))")" '{
            version: 1, pass: {at: $now, took: 0.1, skipped: null, boot: "x", uptime: 1, tick: 1},
            containers: {"\($name)._.\($uid)": {id: "", uid: $uid, user: "root", name: $name, state: "running",
                sampled: $now, last_active: $active, active_because: "", counters: {}, started: null, run_began: null,
                stopped: null, kept_until: null, kept_by: "", warned: [], note: "", gpus: [],
                next: {action: "stop", rule: "idle_timeout", at: $stops, why: "idle"}}}}' \
        > "${DS01_ROOT}/var/lib/ds01/lifecycle.json"
}

stamp() { # <seconds since 1970>
    date -u -d "@$1" +%Y-%m-%dT%H:%M:%S.500Z
}

walk_container-stop() {
    begins "${BIN}/container-stop"
    asks container-stop 'Which containers?'
    mark 1
    asks container-stop-confirm 'What runs inside ends'
    say_yes
    ends 0 'the same in one line: container-stop --yes works' "container 'works' is stopped"
    "${BIN}/container-start" works --quiet
}

# The words that were typed, and what the answer stands for, which may not come behind a `--`. One that does not run is
# not asked about.
walk_container-stop-named() {
    begins "${BIN}/container-stop" --force -- works rests
    asks container-stop-named 'What runs inside ends'
    say_yes
    ends 0 'the same in one line: container-stop --force works rests --yes' "container 'works' is stopped" \
        "container 'rests' is not running"
    "${BIN}/container-start" works --quiet
}

# Nothing is asked where nothing can be stopped.
walk_container-stop-rests() {
    begins "${BIN}/container-stop" rests
    ends 0 "container 'rests' is not running"
    ! terminal_shows 'the same in one line' || false
}

# bats test_tags=engine
@test "dialogues: container-stop" {
    furnish
    idles works
    hold_dialogue walk_container-stop
    hold_dialogue walk_container-stop-named
    hold_once walk_container-stop-rests
}

walk_container-start() {
    begins "${BIN}/container-start"
    asks container-start 'Which containers?'
    mark 1
    ends 0 'the same in one line: container-start rests' "container 'rests' is running"
    "${BIN}/container-stop" rests --force --quiet
}

# What runs is not offered.
walk_container-start-none() {
    "${BIN}/container-start" rests --quiet
    begins "${BIN}/container-start"
    ends 3 'there is no stopped container to choose' "run 'container-list' to see your containers"
    "${BIN}/container-stop" rests --force --quiet
}

walk_container-keep() {
    begins "${BIN}/container-keep"
    asks container-keep 'Which container?'
    pick 1
    asks container-keep-duration 'For how long'
    fill soon
    tells container-keep-wrong "'soon' is not a duration"
    asks --again container-keep-duration 'For how long'
    fill 2d
    tells container-keep-long "'2d' is longer than 1d"
    asks --again container-keep-duration 'For how long'
    fill 1h30m
    ends 0 'the same in one line: container-keep rests 1h30m' "container 'rests' is kept for 1h 30m"
    "${BIN}/container-keep" --off rests --quiet
}

walk_container-why() {
    begins "${BIN}/container-why"
    asks container-why 'Which container?'
    pick 1
    ends 0 'the same in one line: container-why rests' 'container  rests (Debian-bookworm'
}

walk_container-list() {
    begins "${BIN}/container-list" --interactive
    asks container-list 'Which container?'
    pick 1
    asks container-list-act "What shall be done with 'rests'?"
    pick 2
    ends 0 'the same in one line: container-start rests' "container 'rests' is running"
    "${BIN}/container-stop" rests --force --quiet
}

# What asks in its turn tells the line itself.
walk_container-list-stop() {
    begins "${BIN}/container-list" --interactive
    question_is_there 'Which container?'
    pick 2
    question_is_there "What shall be done with 'works'?"
    pick 2
    question_is_there 'What runs inside ends'
    say_yes
    ends 0 'container-stop: info: the same in one line: container-stop works --yes' "container 'works' is stopped"
    [[ "$(conversation)" != *'container-list: info: '* ]]
    "${BIN}/container-start" works --quiet
}

# bats test_tags=engine
@test "dialogues: container-start, container-keep, container-why, container-list --interactive" {
    furnish
    idles works
    hold_dialogue walk_container-start
    hold_once walk_container-start-none
    hold_dialogue walk_container-keep
    hold_dialogue walk_container-why
    hold_dialogue walk_container-list
    hold_once walk_container-list-stop
}

# The shell is left at once, and its container stopped with it.
walk_container-open() {
    begins "${BIN}/container-open"
    asks container-open 'Which container?'
    pick 2
    question_is_there '[works]'
    terminal_keys exit Enter
    ends 0 'the same in one line: container-open works'
    "${BIN}/container-start" works --quiet
}

# One that runs is not taken; both are marked then, the other way round.
walk_container-remove() {
    begins "${BIN}/container-remove"
    asks container-remove 'Which containers?'
    mark 2
    tells container-remove-running "Container 'works' is running"
    asks --again container-remove 'Which containers?'
    mark 1 2
    asks container-remove-confirm 'with everything installed'
    say_yes
    ends 0 'the same in one line: container-remove --yes rests' "container 'rests' is removed; the workspace"
    "${BIN}/container-create" rests Debian --quiet
}

walk_container-remove-named() {
    begins "${BIN}/container-remove" rests
    asks container-remove-named 'with everything installed'
    say_yes
    ends 0 'the same in one line: container-remove rests --yes' "container 'rests' is removed; the workspace"
    "${BIN}/container-create" rests Debian --quiet
}

# bats test_tags=engine
@test "dialogues: container-open, container-remove" {
    furnish
    hold_dialogue walk_container-open
    hold_dialogue walk_container-remove
    hold_dialogue walk_container-remove-named
}

# Those that have GPUs, and those that wait for some: one without is not offered.
walk_gpu-explain() {
    begins "${BIN}/gpu-explain"
    asks gpu-explain 'Which container?'
    pick 2
    ends 0 'the same in one line: gpu-explain trains' 'container trains'
}

walk_gpu-explain-none() {
    begins "${BIN}/gpu-explain"
    ends 3 'no container of yours has a GPU or waits for one' "run 'gpu-explain --request 1' to see"
}

in_queue() { # <container>
    "${BIN}/gpu-queue" --mine 2> /dev/null | grep -q "$1"
}

# A device that is free leads to one of its kind.
walk_gpu-status() {
    begins "${BIN}/gpu-status" --interactive
    asks gpu-status 'Which device?'
    pick 1
    asks gpu-status-free "What shall be done with a GPU of the kind 'full'?"
    pick 1
    ends 0 'the same in one line: gpu-explain --request full' 'would get'
}

# One's own leads to the container that has it.
walk_gpu-status-own() {
    begins "${BIN}/gpu-status" --interactive
    asks gpu-status 'Which device?'
    pick 3
    asks gpu-status-own "What shall be done with 'trains'?"
    pick 8
    ends 0 'the same in one line: gpu-explain trains' 'container trains'
}

# A kind that the policy does not let this user have is explained, and no container is offered with it.
walk_gpu-status-may-not() {
    begins "${BIN}/gpu-status" --interactive
    question_is_there 'Which device?'
    pick 1
    question_is_there "What shall be done with a GPU of the kind 'full'?"
    ! terminal_shows container-create || false
    terminal_keys Enter
    ends 0 'the same in one line: gpu-explain --request full' 'allow_full_gpu'
}

# bats test_tags=engine
@test "dialogues: gpu-explain, gpu-status --interactive" {
    setup_gpus a100-40 a100-40:3g.20gb,1g.5gb
    "${BIN}/container-create" plain Debian --gpus none --quiet
    hold_once walk_gpu-explain-none
    "${BIN}/container-create" trains Debian --gpus 1g.5gb --quiet
    "${BIN}/container-start" trains --quiet
    idles trains
    "${BIN}/container-create" queues Debian --gpus 1g.5gb --wait > /dev/null 2>&1 3>&- &
    WAITER=$!
    wait_for 20 in_queue queues
    hold_dialogue walk_gpu-explain
    "${BIN}/gpu-queue" cancel queues
    wait "${WAITER}" || WAITER=''
    hold_dialogue walk_gpu-status
    hold_dialogue walk_gpu-status-own
    sed -i '/^  admin:/,$ s/^    allow_full_gpu: true$/    allow_full_gpu: false/' \
        "${DS01_ROOT}/etc/ds01/resource-limits.yaml"
    hold_once walk_gpu-status-may-not
}

# Containers that run, as the engine alone makes them: quickly.
make_jobs() { # <name>...
    printf '%s\n' "$@" | xargs -P 4 -I '{}' docker run --detach --network none --log-driver none \
        --name "{}._.${UID}" --label aime.mlc=root --label aime.mlc.FRAMEWORK=Debian-bookworm \
        ds01/debian:bookworm sleep 3600 > /dev/null
}

# The last of a list that is longer than the screen.
walk_many-why() {
    begins "${BIN}/container-why"
    asks many-why 'Which container?'
    pick_last many-why-end 120
    ends 0 'the same in one line: container-why job-120' 'container  job-120 (Debian-bookworm, running)'
}

pick_last() { # <name of the screen> <row in plain lines>
    [[ "${DIALOGUE_MODE}" != plain ]] || { pick "$2" && return; }
    terminal_keys End
    terminal_matches "$1"
    terminal_keys Enter
}

# The first and the last of them.
walk_many-stop() {
    begins "${BIN}/container-stop" --force
    asks many-stop 'Which containers?'
    mark_first_and_last many-stop-end 120
    asks many-stop-confirm 'These 2 containers will be stopped'
    say_yes
    ends 0 'the same in one line: container-stop --force --yes job-001 job-120' "container 'job-120' is stopped"
    docker start "job-001._.${UID}" "job-120._.${UID}" > /dev/null
}

mark_first_and_last() { # <name of the screen> <row in plain lines>
    [[ "${DIALOGUE_MODE}" != plain ]] || { mark 1 "$2" && return; }
    local i
    # What whiptail marks in knows no End key.
    terminal_keys Space
    for ((i = 0; i < $2; i += 10)); do terminal_keys PageDown; done
    terminal_keys Space
    terminal_matches "$1"
    terminal_keys Enter
}

# All of them are named, for who wants to read on; none goes.
walk_many-remove() {
    begins "${BIN}/container-remove" --all --force
    asks many-remove 'These 120 containers will be removed'
    say_no
    ends 130
}

# bats test_tags=engine
@test "dialogues: hundreds of containers" {
    make_jobs job-{001..120}
    hold_dialogue walk_many-why
    hold_dialogue walk_many-stop
    hold_dialogue walk_many-remove
}

walk_ds01-config() {
    begins "${BIN}/ds01-config"
    asks ds01-config 'look for mistakes in all files'
    pick 1
    ends 0 'the same in one line: ds01-config check' "ok ${DS01_ROOT}/etc/ds01/ds01.yaml"
}

walk_container() {
    begins "${BIN}/container"
    asks container 'What do you want to do?'
    pick 5
    ends 0 'container: info: the same in one line: container-list' 'rests '
}

walk_image() {
    begins "${BIN}/image"
    asks image 'What do you want to do?'
    pick 4
    ends 0 'image: info: the same in one line: image-list'
}

walk_gpu() {
    begins "${BIN}/gpu"
    asks gpu 'What do you want to do?'
    pick 2
    ends 0 'gpu: info: the same in one line: gpu-queue'
}

# A command that asks in its turn, and tells the line itself.
walk_ds01() {
    begins "${BIN}/ds01"
    asks ds01 'What do you want to do?'
    pick 1
    asks --again ds01-config 'look for mistakes in all files'
    pick 1
    ends 0 'ds01-config: info: the same in one line: ds01-config check'
    [[ "$(conversation)" != *'ds01: info: '* ]]
}

# bats test_tags=engine
@test "dialogues: container, image, gpu, ds01, ds01-config" {
    "${BIN}/container-create" rests Debian --quiet
    hold_dialogue walk_ds01-config
    hold_dialogue walk_container
    hold_dialogue walk_image
    hold_dialogue walk_gpu
    hold_dialogue walk_ds01
}
