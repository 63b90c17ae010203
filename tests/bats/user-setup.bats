#!/usr/bin/env bats
# user-setup: what a new user needs, seen and put right step by step.

load helper

setup() {
    setup_ds01
    export GIT_CONFIG_SYSTEM=/dev/null
}

teardown() {
    terminal_stop
}

@test "user-setup: says which words are missing where nobody can be asked" {
    run -2 --separate-stderr "${BIN}/user-setup" < /dev/null
    [[ "${stderr_lines[0]}" == "user-setup: error: missing '--check' or '--yes'" ]]
    run -2 --separate-stderr "${BIN}/user-setup" --only sssh
    [[ "${stderr_lines[0]}" == *"'sssh' is not a step, known are access, workspace, limits, ssh, git, vscode, project" ]]
    run -2 --separate-stderr "${BIN}/user-setup" word
    [[ "${stderr_lines[0]}" == *"unexpected word 'word'" ]]
}

@test "user-setup: --check changes nothing and says what is missing" {
    run -7 --separate-stderr env DOCKER_HOST=unix:///nowhere/docker.sock "${BIN}/user-setup" --check --json
    [[ "$(jq -r '.steps[] | select(.ok) | .step' <<< "${output}" | paste -sd ' ')" == 'limits vscode' ]]
    [[ "${stderr}" == *'access: the Docker engine does not run: ask the administrator'* ]]
    [[ "${stderr}" == *'hint: run '"'user-setup --only access'"* ]]
    [[ -z "$(ls -A "${HOME}")" ]]
}

@test "user-setup: --yes puts right what needs no answer, and can be run again" {
    run -0 --separate-stderr "${BIN}/user-setup" --yes --skip access --project first --git-name 'A Person' --git-email a@b.org
    [[ -d "${HOME}/workspace" && -s "${HOME}/.ssh/id_ed25519.pub" && -s "${HOME}/workspace/first/README.md" ]]
    [[ "$(stat -c %a "${HOME}/.ssh" "${HOME}/.ssh/id_ed25519" | paste -sd ' ')" == '700 600' ]]
    [[ "$(git -C "${HOME}/workspace/first" log --format=%an)" == 'A Person' ]]
    local key
    key="$(< "${HOME}/.ssh/id_ed25519.pub")"
    run -0 --separate-stderr "${BIN}/user-setup" --yes --skip access --quiet
    [[ -z "${output}${stderr}" ]]
    [[ "$(< "${HOME}/.ssh/id_ed25519.pub")" == "${key}" ]]
}

@test "user-setup: the workspace is the one that the settings name, with or without a look at the engine" {
    sed -i "s|^workspace_dir: null|workspace_dir: ~/work|" "${DS01_ROOT}/etc/ds01/ds01.yaml"
    run -0 --separate-stderr "${BIN}/user-setup" --yes --only workspace
    [[ "${stderr}" == *"workspace: '${HOME}/work' is /workspace in your containers" ]]
    [[ -d "${HOME}/work" && ! -e "${HOME}/workspace" ]]
}

@test "user-setup: a broken policy is said as such" {
    printf 'version: 7\n' > "${DS01_ROOT}/etc/ds01/resource-limits.yaml"
    run -7 --separate-stderr "${BIN}/user-setup" --check --only limits
    [[ "${stderr}" == *"limits: the policy cannot be read: run 'ds01-config check'"* ]]
}

@test "user-setup: in a terminal each step is offered, can be skipped and come back to, and Esc leaves" {
    terminal_start_and_stay "${BIN}/user-setup" --skip access --skip project
    wait_for 10 terminal_shows 'there is no folder'
    terminal_keys Enter
    wait_for 10 terminal_shows 'you have no SSH key here'
    terminal_keys Down Enter
    wait_for 10 terminal_shows 'git does not know your name and address'
    # Back to what was skipped, and no farther: the workspace is in place now.
    terminal_keys Tab Tab Enter
    wait_for 10 terminal_shows 'First steps: ssh'
    terminal_keys Tab Tab Enter
    wait_for 10 terminal_shows '<Cancel>'
    terminal_shows 'First steps: ssh'
    terminal_keys Enter
    wait_for 10 terminal_shows 'First steps: git'
    terminal_keys Enter
    wait_for 10 terminal_shows 'Your name, as it shall stand'
    terminal_keys C-u 'New Person' Enter
    wait_for 10 terminal_shows 'Your e-mail address'
    terminal_keys old@person.org Tab Tab Enter
    wait_for 10 terminal_shows 'Your name, as it shall stand'
    terminal_shows 'New Person'
    terminal_keys Enter
    wait_for 10 terminal_shows 'Your e-mail address'
    terminal_keys C-u new@person.org Enter
    [[ "$(terminal_status)" == 7 ]]
    terminal_shows 'not in place: ssh'
    # Without the line breaks of the terminal.
    [[ "$(terminal_screen | tr -d '\n ')" == *'inoneline:user-setup--skipaccess--skipproject--yes--skipssh--git-nameNew\Person--git-emailnew@person.org'* ]]
    [[ -d "${HOME}/workspace" && ! -e "${HOME}/.ssh" ]]
    [[ "$(git config --global user.name)" == 'New Person' ]]
    terminal_stop
    rm -f "${BATS_TEST_TMPDIR}/terminal-status"
    terminal_start_and_stay "${BIN}/user-setup" --skip access
    wait_for 10 terminal_shows 'you have no SSH key here'
    terminal_keys Escape
    [[ "$(terminal_status)" == 130 ]]
}

@test "user-setup: --guided explains what a workspace, limits and the idle rule are" {
    terminal_start_and_stay "${BIN}/user-setup" --guided --skip access --skip project --skip ssh --skip git
    local text
    for text in 'What the workspace is' 'there is no folder' 'What limits are' 'How GPUs are given' 'What the idle rule is'; do
        wait_for 10 terminal_shows "${text}"
        terminal_keys Enter
    done
    [[ "$(terminal_status)" == 0 ]]
}

# bats test_tags=engine
@test "user-setup: sees that the engine answers, and who may not use it" {
    run -0 --separate-stderr "${BIN}/user-setup" --check --only access
    [[ "${stderr}" == *'access: the Docker engine answers you' ]]
    open_ds01
    run -7 --separate-stderr as_user outsider env DS01_ROOT="${DS01_ROOT}" DOCKER_HOST="${DOCKER_HOST}" "${BIN}/user-setup" --check --only access
    [[ "${stderr}" == *"you may not use the Docker engine: ask the administrator for 'usermod -aG "* ]]
}
