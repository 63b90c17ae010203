#!/usr/bin/env bats
# project-init: a project's folder, its git repository, its image and container.

load helper
load images_helper

setup() {
    setup_ds01
    git config --global user.name "Test Person"
    git config --global user.email test@example.org
}

teardown() {
    teardown_images
}

@test "project-init: names the missing word where nobody can be asked" {
    run -2 --separate-stderr "${BIN}/project-init" < /dev/null
    [[ "${stderr_lines[0]}" == 'project-init: error: missing NAME' ]]
    # On a terminal too, where it shall ask nothing.
    run -2 script -qec "${BIN@Q}/project-init --yes" /dev/null < /dev/null
    [[ "${output}" == *'missing NAME'* ]]
    run -2 --separate-stderr "${BIN}/project-init" a b
    [[ "${stderr_lines[0]}" == *"unexpected word 'b'" ]]
    run -2 --separate-stderr "${BIN}/project-init" ../x
    [[ "${stderr_lines[0]}" == *"'../x' is not a name for a project" ]]
    run -2 --separate-stderr "${BIN}/project-init" ../x --image --yes
    [[ "${stderr_lines[0]}" == *"'../x' is not a name for a project" ]]
    run -2 --separate-stderr "${BIN}/project-init" x --type genral
    [[ "${stderr_lines[1]}" == "project-init: hint: did you mean 'general'?" ]]
    [[ ! -e "${HOME}/workspace" ]]
}

@test "project-init: makes folder and repository; again, only what is missing" {
    run -0 --separate-stderr "${BIN}/project-init" thesis --type cv
    [[ -z "${output}" && "${stderr}" == *"thesis' made: "*README.md* ]]
    [[ "$(git -C "${HOME}/workspace/thesis" log --format=%s)" == 'Begin thesis' ]]
    [[ -z "$(git -C "${HOME}/workspace/thesis" status --porcelain)" ]]
    printf 'mine\n' > "${HOME}/workspace/thesis/README.md"
    rm "${HOME}/workspace/thesis/src/main.py"
    run -0 --separate-stderr "${BIN}/project-init" thesis --json
    [[ "$(jq -c .written <<< "${output}")" == '["src/main.py"]' ]]
    [[ "$(< "${HOME}/workspace/thesis/README.md")" == mine ]]
    [[ "$(git -C "${HOME}/workspace/thesis" log --oneline | wc -l)" == 1 ]]
}

@test "project-init: --dry-run makes nothing, --no-git no repository, --dir another folder" {
    run -0 "${BIN}/project-init" thesis --dry-run
    [[ "${output}" == *"would be made: "* && ! -e "${HOME}/workspace" ]]
    run -0 "${BIN}/project-init" thesis --no-git --dir "${HOME}/a b/c" --quiet
    [[ -z "${output}" && -s "${HOME}/a b/c/README.md" && ! -e "${HOME}/a b/c/.git" ]]
}

@test "project-init: a folder that is there keeps its files out of git, and a relative one is meant from here" {
    mkdir "${HOME}/old one"
    cd -- "${HOME}"
    printf 'secret\n' > 'old one/token.txt'
    printf 'models/\n' > 'old one/.gitignore'
    run -0 --separate-stderr "${BIN}/project-init" thesis --dir 'old one'
    [[ "${stderr}" == *"what else is in '${PWD}/old one' is not in git: 'git -C "*" status' shows it"* ]]
    [[ "$(git -C 'old one' log --format=%s)" == 'Begin thesis' ]]
    [[ "$(git -C 'old one' ls-files)" == *README.md* && "$(git -C 'old one' ls-files)" != *@(token|models)* ]]
    [[ "$(git -C 'old one' status --porcelain)" == *'?? .gitignore'*'?? token.txt' ]]
    # What builds its image finds the same folder.
    [[ "${stderr}" == *"image-create thesis --project "*"/old\\ one "* ]]
    # shellcheck disable=SC2088 # as a menu or `--dir=~/…` has it
    run -0 --separate-stderr "${BIN}/project-init" other --dir '~/other'
    [[ -s "${HOME}/other/README.md" && "${stderr}" != *'what else is in'* ]]
}

@test "project-init: where all is ignored git has nothing to commit, and the JSON stands alone" {
    mkdir "${HOME}/old"
    printf '*\n' > "${HOME}/old/.gitignore"
    run -0 --separate-stderr "${BIN}/project-init" thesis --dir "${HOME}/old" --json
    [[ "$(jq -c '.written | length > 3' <<< "${output}")" == true ]]
    [[ "${stderr}" == *"warning: git did not commit what was made in '${HOME}/old'"* ]]
}

@test "project-init: a file where a folder belongs is told, and stays" {
    mkdir -p "${HOME}/workspace/thesis"
    printf 'mine\n' > "${HOME}/workspace/thesis/src"
    run -4 --separate-stderr "${BIN}/project-init" thesis
    [[ "${stderr}" == *"'${HOME}/workspace/thesis/src' is no folder, and 'src/"*"' belongs in it"* ]]
    [[ "$(< "${HOME}/workspace/thesis/src")" == mine ]]
}

@test "project-init: without git's name the folder is made all the same, and it is said" {
    rm "${HOME}/.gitconfig"
    run -0 --separate-stderr env GIT_CONFIG_SYSTEM=/dev/null EMAIL='' "${BIN}/project-init" thesis
    [[ -d "${HOME}/workspace/thesis/.git" ]]
    if [[ -n "$(git -C "${HOME}/workspace/thesis" rev-list --all)" ]]; then
        skip "this host tells git a name by itself"
    fi
    [[ "${stderr}" == *"git does not know your name ('user-setup --only git' sets it)"* ]]
}

@test "project-init: a broken packages file is named, and nothing is made" {
    printf 'tiers: [' > "${DS01_ROOT}/etc/ds01/packages.yaml"
    run -6 --separate-stderr "${BIN}/project-init" thesis
    [[ "${stderr_lines[0]}" == *packages.yaml* && ! -e "${HOME}/workspace" ]]
}

# The command in a text of the project that lies here, run as it stands. Uses bats' run.
typed() { # <command> <file> [<word>...]
    local words=()
    read -ra words < <(sed -n "s|^\(// \)\?\($1 .*\)|\2|p" "$2")
    run -0 "${BIN}/${words[0]}" "${words[@]:1}" "${@:3}" < /dev/null
}

# bats test_tags=engine
@test "project-init: without an image, what it says, the README and the dev container file tell how it is made" {
    small_tiers
    local folder="${HOME}/workspace/solo" quoted
    printf -v quoted '%q' "${folder}"
    run -0 --separate-stderr "${BIN}/project-init" solo --type colour --yes
    [[ "${stderr_lines[-2]}" == "project-init: info: next: image-create solo --project ${quoted} --requirements ${quoted}/requirements.txt --type colour" ]]
    [[ "${stderr_lines[-1]}" == 'project-init: info: then: container-run solo' ]]
    cd "${folder}"
    typed image-create README.md --framework Debian --dry-run
    [[ "${output}" == *colorama* ]]
    typed image-create .devcontainer/devcontainer.json --framework Debian --dry-run
    [[ "${output}" == *colorama* ]]
}

# bats test_tags=engine
@test "project-init: a framework that the catalog has not is told before anything is made" {
    run -3 --separate-stderr "${BIN}/project-init" thesis --image --framework Debain --yes < /dev/null
    [[ "${stderr}" == *"did you mean 'Debian'?"* && ! -e "${HOME}/workspace" ]]
}

# bats test_tags=engine
@test "project-init: --container with --yes asks nothing: a framework of this host is taken" {
    small_tiers
    run -0 --separate-stderr "${BIN}/project-init" quick --container --yes --quiet < /dev/null
    run -0 inspect "quick._.${UID}" '{{.Config.Image}}'
    [[ "$(docker image inspect --format '{{index .Config.Labels "ds01.image.framework"}}' ds01/root/quick)" == Debian ]]
    cd "${HOME}/workspace/quick"
    docker image inspect "$(sed '/^ *\/\//d' .devcontainer/devcontainer.json | jq -r .image)"
    printf 'toolz\n' >> requirements.txt
    typed image-update README.md --dry-run
    [[ "${output}" == *toolz* ]]
    # Again, only what is missing.
    run -0 --separate-stderr "${BIN}/project-init" quick --container --yes < /dev/null
    [[ "${stderr}" == *"your image 'quick' is there already; 'image-update quick' changes it"* ]]
    [[ "${stderr_lines[-2]}" == "project-init: info: your container 'quick' is there already" ]]
    [[ "${stderr_lines[-1]}" == 'project-init: info: next: container-run quick' ]]
}
