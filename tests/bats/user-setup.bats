#!/usr/bin/env bats
# user-setup: what a new user needs, seen and put right step by step.

load helper

setup() {
    setup_ds01
    export GIT_CONFIG_SYSTEM=/dev/null
}

@test "user-setup: says which words are missing where nobody can be asked" {
    run -2 --separate-stderr "${BIN}/user-setup" < /dev/null
    [[ "${stderr_lines[0]}" == "user-setup: error: missing '--check' or '--yes'" ]]
    run -2 --separate-stderr "${BIN}/user-setup" --only ssh --json < /dev/null
    [[ "${stderr_lines[0]}" == "user-setup: error: missing '--check' or '--yes'" && -z "$(ls -A "${HOME}")" ]]
    run -2 --separate-stderr "${BIN}/user-setup" --only sssh
    [[ "${stderr_lines[0]}" == *"'sssh' is not a step" && "${stderr_lines[1]}" == *"hint: did you mean 'ssh'?" ]]
    run -2 --separate-stderr "${BIN}/user-setup" --yes --skip gti
    [[ "${stderr_lines[1]}" == *"hint: did you mean 'git'?" ]]
    run -2 --separate-stderr "${BIN}/user-setup" --only other
    [[ "${stderr_lines[0]}" == *"'other' is not a step, known are access, workspace, limits, ssh, git, vscode, project" ]]
    run -2 --separate-stderr "${BIN}/user-setup" --yes --git-email a.b.org
    [[ "${stderr_lines[0]}" == "user-setup: error: 'a.b.org' is not an e-mail address" ]]
    run -2 --separate-stderr "${BIN}/user-setup" --yes --git-name ' ' --git-email a@b.org
    [[ "${stderr_lines[0]}" == "user-setup: error: ' ' is not a name for git's commits" ]]
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
    [[ "${stderr}" == *"project-init: info: then: container-run first"* ]]
    local key
    run -7 --separate-stderr env HOME="${BATS_TEST_TMPDIR}/nothing yet" "${BIN}/user-setup" --yes --only project
    [[ "${stderr}" == *"hint: run 'project-init my-project', or choose another name for it"* ]]
    key="$(< "${HOME}/.ssh/id_ed25519.pub")"
    run -0 --separate-stderr "${BIN}/user-setup" --check --skip access
    [[ "${stderr_lines[-1]}" == 'user-setup: info: next: container-run first' ]]
    run -0 --separate-stderr "${BIN}/user-setup" --check --only limits
    [[ "${stderr_lines[-1]}" == 'user-setup: info: next: container-run' ]]
    run -0 --separate-stderr "${BIN}/user-setup" --yes --skip access --quiet
    [[ -z "${output}${stderr}" ]]
    [[ "$(< "${HOME}/.ssh/id_ed25519.pub")" == "${key}" ]]
    # Without its public half the key is not made anew.
    rm "${HOME}/.ssh/id_ed25519.pub"
    run -0 --separate-stderr "${BIN}/user-setup" --yes --only ssh
    [[ "${stderr}" == *"give this line to your git server: ${key% *}"* ]]
    [[ "$(< "${HOME}/.ssh/id_ed25519.pub")" == "${key% *}"* ]]
    rm "${HOME}/.ssh/id_ed25519.pub"
    ssh-keygen -q -p -P '' -N secret -f "${HOME}/.ssh/id_ed25519" > /dev/null
    run -7 --separate-stderr "${BIN}/user-setup" --yes --only ssh
    [[ "${stderr}" == *"hint: run 'ssh-keygen -y -f ~/.ssh/id_ed25519 > ~/.ssh/id_ed25519.pub'"* ]]
    [[ ! -e "${HOME}/.ssh/id_ed25519.pub" && "${stderr}" != *'give this line'* ]]
}

@test "user-setup: the workspace is the one that the settings name, with or without a look at the engine" {
    sed -i "s|^workspace_dir: null|workspace_dir: ~/work|" "${DS01_ROOT}/etc/ds01/ds01.yaml"
    run -0 --separate-stderr "${BIN}/user-setup" --yes --only workspace
    [[ "${stderr}" == *"workspace: '${HOME}/work' is /workspace in your containers"* ]]
    [[ -d "${HOME}/work" && ! -e "${HOME}/workspace" ]]
}

@test "user-setup: the limits are told as people say them" {
    {
        printf 'version: 1\ndefault_group: all\ngroups: {all: {}}\n'
        printf 'defaults: {max_cpus: 1, memory: 2g, max_gpus: 1, max_containers_per_user: 1, idle_timeout: 30m}\n'
    } > "${DS01_ROOT}/etc/ds01/resource-limits.yaml"
    run -0 --separate-stderr "${BIN}/user-setup" --check --only limits
    [[ "${stderr}" == *'limits: 1 CPU and 2 GiB of memory in a container, 1 GPU and 1 container in all; stopped when idle for 30 min'* ]]
}

# bats test_tags=engine
@test "user-setup: the limits are those that a container gets here, and none is told well" {
    local policy="${DS01_ROOT}/etc/ds01/resource-limits.yaml" size
    size="$(docker info --format '{{.NCPU}} {{.MemTotal}}' | awk '{printf "%d CPU%s and %.4g GiB", $1, $1 == 1 ? "" : "s", int($2 / 2^30 * 10) / 10}')"
    printf 'version: 1\ndefault_group: all\ngroups: {all: {}}\ndefaults: {max_cpus: 4000, memory: 4000g, memory_swap: 4000g}\n' > "${policy}"
    run -0 --separate-stderr "${BIN}/user-setup" --check --only limits
    [[ "${stderr}" == *"limits: ${size} of memory in a container, 1 GPU and 3 containers in all; stopped when idle for 48 h"* ]]
    {
        printf 'version: 1\ndefault_group: all\ngroups: {all: {}}\n'
        printf 'defaults: {max_cpus: null, memory: null, memory_swap: null, max_gpus: null, max_containers_per_user: null, idle_timeout: null}\n'
    } > "${policy}"
    run -0 --separate-stderr "${BIN}/user-setup" --check --only limits
    [[ "${stderr}" == *"limits: ${size} of memory in a container, any number of GPUs and containers; never stopped when idle"* ]]
    run -0 --separate-stderr env DOCKER_HOST=unix:///nowhere/docker.sock "${BIN}/user-setup" --check --only limits
    [[ "${stderr}" == *"limits: any number of CPUs and any amount of memory in a container, any number"* ]]
}

@test "user-setup: a broken policy is said as such" {
    printf 'version: 7\n' > "${DS01_ROOT}/etc/ds01/resource-limits.yaml"
    run -7 --separate-stderr "${BIN}/user-setup" --check --only limits
    [[ "${stderr}" == *"limits: the policy cannot be read: run 'ds01-config check'"* ]]
}

# bats test_tags=engine
@test "user-setup: sees that the engine answers, and who may not use it" {
    run -0 --separate-stderr "${BIN}/user-setup" --check --only access
    [[ "${stderr}" == *'access: the Docker engine answers you'* ]]
    open_ds01
    run -7 --separate-stderr as_user outsider env DS01_ROOT="${DS01_ROOT}" DOCKER_HOST="${DOCKER_HOST}" "${BIN}/user-setup" --check --only access
    [[ "${stderr}" == *"you may not use the Docker engine: ask the administrator for 'usermod -aG "* ]]
}
