#!/usr/bin/env bats
# The login notice (config/profile.d/ds01.sh, lib/login-notice), and its lines told by commands (lib/notices.bash).
# shellcheck disable=SC2154 # output, stderr are set by bats

load helper

setup() {
    setup_ds01
    unset TMUX STY DS01_LOGIN_NOTICE XDG_CACHE_HOME XDG_CONFIG_HOME
    state="${DS01_ROOT}/var/lib/ds01"
    mkdir -p "${state}/notices" "${BATS_TEST_TMPDIR}/prögram dir/lib"
    program="${BATS_TEST_TMPDIR}/prögram dir"
    # As install.sh does it, whose own part of this is tested in install.bats.
    sed "s#/opt/ds01#${program}#; s#/var/lib/ds01#${state}#" "${ROOT}/lib/login-notice" > "${program}/lib/login-notice"
    cp "${ROOT}/lib/login-notice.jq" "${program}/lib/"
    sed "s#/opt/ds01#${program}#" "${ROOT}/config/profile.d/ds01.sh" > "${BATS_TEST_TMPDIR}/profile.sh"
}

teardown() {
    terminal_stop
}

# A moment so many seconds from now, as state files have it.
stamp() { # <seconds>
    date -u -d "@$(($(date +%s) + $1))" +%Y-%m-%dT%H:%M:%S.500Z
}

# Write what the lifecycle pass remembers: the entries given, and those of two hundred others.
remember() { # <age-of-the-pass> <json-entries>
    local others pass
    pass="$(stamp "-$1")"
    others="$(jq -cn '[range(200) | {key: "job\(.)._.\(70000 + .)", value: {uid: (70000 + .), user: "u", name: "job\(.)",
        state: "running", sampled: null, last_active: null, active_because: "", counters: {}, started: null,
        run_began: null, stopped: null, kept_until: null, kept_by: "", warned: [], next: null, note: "", gpus: []}}]
        | from_entries')"
    jq -c --arg at "${pass}" --argjson mine "$2" '{version: 1, pass: {at: $at, took: 0.1, skipped: null, boot: "x",
        uptime: 1}, containers: (. + ($mine | map({key: "\(.name)._.\(.uid)", value: .}) | from_entries))}' \
        <<< "${others}" > "${state}/lifecycle.json"
}

# One entry of the caller's, with the fields given.
entry() { # <name> <state> <json-fields>
    jq -cn --arg name "$1" --arg state "$2" --argjson uid "${UID}" --argjson more "$3" '{uid: $uid, user: "me", name: $name,
        state: $state, kept_until: null, warned: [], next: null, note: "", gpus: []} + $more'
}

# Three containers in three states.
remember_three() { # <age-of-the-pass>
    remember "$1" "[$(entry train running "{\"gpus\": [\"MIG-1\"], \"warned\": [{}], \"next\": {\"action\": \"stop\",
        \"rule\": \"idle_timeout\", \"at\": \"$(stamp 2550)\", \"why\": \"idle\"}}"),
        $(entry notes exited "{\"gpus\": [\"a\", \"b\"], \"note\": \"stopped: the server was restarted\", \"next\":
            {\"action\": \"return-gpus\", \"rule\": \"gpu_hold_after_stop\", \"at\": \"$(stamp 80030)\", \"why\": \"stopped\"}}"),
        $(entry demo running "{\"kept_until\": \"$(stamp 7290)\"}")]"
}

# Log in with a shell.
login() { # <shell>
    "$1" -i -c ". '${BATS_TEST_TMPDIR}/profile.sh'; echo status=\$?" < /dev/null 2> "${BATS_TEST_TMPDIR}/stderr"
}

# bats test_tags=engine
@test "login notice: one line for each container, in every shell" {
    local shell
    remember_three 60
    for shell in dash bash zsh; do
        run -0 login "${shell}"
        printf '%s: %s\n' "${shell}" "${output}"
        [[ "${lines[0]}" == 'DS01: demo   running, kept for 2h 1m' ]]
        [[ "${lines[1]}" == 'DS01: train  running, 1 GPU, stops in 42m: idle, warned' ]]
        [[ "${lines[2]}" == 'DS01: notes  stopped: the server was restarted, 2 GPUs, GPUs return in 22h 13m: stopped' ]]
        [[ "${lines[3]}" == 'status=0' && "${#lines[@]}" == 4 ]]
    done
}

@test "login notice: silent where there is nothing, when it is off, and in shells without a person" {
    run -0 login dash
    [[ "${output}" == 'status=0' ]]
    remember 60 '[]'
    run -0 login bash
    [[ "${output}" == 'status=0' ]]
    remember_three 60
    run -0 dash -c ". '${BATS_TEST_TMPDIR}/profile.sh'"
    [[ -z "${output}" ]]
    DS01_LOGIN_NOTICE=off run -0 login dash
    [[ "${output}" == 'status=0' ]]
    TMUX=x run -0 login dash
    [[ "${output}" == 'status=0' ]]
    mkdir -p "${HOME}/.config/ds01" && touch "${HOME}/.config/ds01/no-login-notice"
    run -0 login dash
    [[ "${output}" == 'status=0' ]]
}

@test "login notice: says nothing of the present when the last pass is long ago" {
    remember_three 3600
    run -0 login dash
    [[ "${output}" == 'status=0' ]]
}

@test "login notice: nothing breaks a login" {
    local text
    for text in '' '{' '{"uid":'"${UID}"',}' '{"version":1,"pass":null,"containers":[{"uid":'"${UID}"',"name":7}]}' '[]'; do
        printf '%s' "${text}" > "${state}/lifecycle.json"
        printf 'no number here\n\n99999999999999999999999 x\n' > "${state}/notices/${UID}"
        run -0 bash -i -c "set -eu; . '${BATS_TEST_TMPDIR}/profile.sh'; echo status=\$?" < /dev/null
        [[ "${output}" == *'status=0' ]]
        [[ "${output}" != *'jq:'* && "${output}" != *'login-notice'* ]]
    done
    remember_three 60
    # No home, no tools, strict mode.
    run -0 env -u HOME PATH=/nonexistent /bin/dash -i -c ". '${BATS_TEST_TMPDIR}/profile.sh'; echo status=\$?" < /dev/null
    [[ "${output}" == *'status=0' ]]
    # Nothing of it stays in the shell.
    run -0 --separate-stderr bash -i -c ". '${BATS_TEST_TMPDIR}/profile.sh' > /dev/null; set | grep -c ^ds01_ || true" < /dev/null
    [[ "${output}" == 0 ]]
    # A name that would rewrite the terminal.
    remember 60 "[$(entry $'x\e[2Jy' running '{}')]"
    run -0 login dash
    [[ "${lines[0]}" == 'DS01: x?[2Jy  running' ]]
}

# bats test_tags=engine
@test "login notice: what happened meanwhile is told once" {
    local now
    now="$(date +%s)"
    printf '%s container ä was \e[2Jstopped\n' "$((now - 60))" > "${state}/notices/${UID}"
    run -0 login dash
    [[ "${lines[0]}" == 'DS01: container ä was [2Jstopped' ]]
    run -0 login zsh
    [[ "${output}" == 'status=0' ]]
    printf '%s container b was stopped\n' "${now}" >> "${state}/notices/${UID}"
    run -0 login bash
    [[ "${lines[0]}" == 'DS01: container b was stopped' && "${#lines[@]}" == 2 ]]
}

# bats test_tags=engine
@test "login notice: the next command on a terminal tells it too, and only there" {
    printf '%s container a was stopped by a restart\n' "$(date +%s)" > "${state}/notices/${UID}"
    run --separate-stderr "${BIN}/container-list"
    [[ "${stderr}" != *'was stopped by'* ]]
    terminal_start sh -c "'${BIN}/gpu-status'; sleep 3"
    wait_for 10 terminal_shows 'gpu-status: info: container a was stopped by a restart'
    terminal_stop
    [[ "$(cat "${HOME}/.cache/ds01/notices-seen")" =~ ^[0-9]+$ ]]
    run -0 login dash
    [[ "${output}" == 'status=0' ]]
}

# How long that takes is measured by tests/bench/bench_login_notice.py.
@test "login notice: starts jq once for all own containers, and not where there is none, among two hundred" {
    local tool tools="${BATS_TEST_TMPDIR}/tools" log="${BATS_TEST_TMPDIR}/started"
    mkdir "${tools}"
    for tool in id grep timeout jq tr mkdir; do
        printf '#!/bin/sh\necho %s >> "%s"\nexec "%s" "$@"\n' "${tool}" "${log}" "$(type -P "${tool}")" > "${tools}/${tool}"
        chmod +x "${tools}/${tool}"
    done
    remember_three 60
    PATH="${tools}" run -0 /usr/bin/dash -c '. "$1"' x "${program}/lib/login-notice"
    [[ "${#lines[@]}" == 3 && "$(sort "${log}")" == $'grep\nid\njq\ntimeout' ]]
    rm "${log}"
    remember 60 '[]'
    PATH="${tools}" run /usr/bin/dash -c '. "$1"' x "${program}/lib/login-notice"
    [[ -z "${output}" && "$(sort "${log}")" == $'grep\nid' ]]
}
