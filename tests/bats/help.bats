#!/usr/bin/env bats
# What is made of the headers: docs/commands, man pages, and completion in three real shells.
# shellcheck disable=SC2154 # ROOT is set by helper.bash, BATS_* by bats

load helper
load gpu_helper
load images_helper

setup() {
    setup_ds01
}

teardown() {
    terminal_stop
    teardown_images
    teardown_gpus
}

# The man pages and completion of an installation in the checkout, in a folder with a blank. Sets: share.
make_share() {
    share="${BATS_TEST_TMPDIR}/the share"
    python3 "${ROOT}/python/help_pages.py" share "${share}" --root "${ROOT}"
    export PATH="${BIN}:${PATH}"
}

@test "help: docs/commands are as the headers say" {
    run --separate-stderr python3 "${ROOT}/python/help_pages.py" check
    printf '%s\n' "${stderr}"
    [[ "${status}" -eq 0 ]]
}

@test "help: the links of the pages lead to pages" {
    local target
    while IFS= read -r target; do
        [[ -e "${ROOT}/docs/commands/${target}" ]] || { printf '%s\n' "${target}" && return 1; }
    done < <(grep -ohE '\]\([^)]+\)' "${ROOT}"/docs/commands/*.md | tr -d '])(' | sort -u)
}

@test "help: man pages are without a fault, and man finds each by its name" {
    type -P mandoc man > /dev/null || skip 'no mandoc or man'
    make_share
    cd "${share}/man/man1"
    # The date is the one thing that they leave out on purpose.
    run mandoc -T lint -W warning ./*.1
    output="$(grep -v 'missing date' <<< "${output}" || true)"
    [[ -z "${output}" ]]
    local file
    for file in "${BIN}"/*; do
        [[ -s "${file##*/}.1" ]] || { printf '%s\n' "${file}" && return 1; }
    done
    run -0 env MANPATH="${share}/man" MANWIDTH=80 MANPAGER=cat LC_ALL=C.UTF-8 man container-run
    [[ "${output}" == *'container-run - Open a shell or run a command in a container'* ]]
    [[ "${output}" == *'-w, --workspace DIR'* && "${output}" == *"sh -c 'sort | uniq -c' < words > counts"* ]]
    run -0 env MANPATH="${share}/man" MANPAGER=cat man container-cleanup
    [[ "${output}" == *container-remove* ]]
}

# Load the completion as a login shell would, then complete a line. Prints: what it may be, a line each.
bash_completes() { # <line>
    # shellcheck disable=SC2016 # the inner shell expands these
    bash --norc -ic 'source /usr/share/bash-completion/bash_completion 2> /dev/null
        source "$1/bash-completion/completions/container-run"
        COMP_LINE="$2" COMP_POINT=${#2} COMP_WORDS=() COMP_CWORD=0
        # As readline splits it.
        rest="$2"
        while [[ "${rest}" =~ ^([[:space:]]*)([:=]+|[^:=[:space:]]+)(.*)$ ]]; do
            COMP_WORDS+=("${BASH_REMATCH[2]}") rest="${BASH_REMATCH[3]}"
        done
        [[ "$2" != *" " ]] || COMP_WORDS+=("")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _ds01_complete
        printf "%s\n" "${COMPREPLY[@]}"' - "${share}" "$1" < /dev/null 2> "${BATS_TEST_TMPDIR}/errors"
    grep -v -e 'no job control' -e 'cannot set terminal' "${BATS_TEST_TMPDIR}/errors" || true
}

@test "help: bash completes commands, options, values, files and folders" {
    make_share
    mkdir -p "${BATS_TEST_TMPDIR}/w/one dir" "${BATS_TEST_TMPDIR}/w/two"
    touch "${BATS_TEST_TMPDIR}/w/one file"
    cd "${BATS_TEST_TMPDIR}/w"
    run -0 bash_completes 'container ru'
    [[ "${output}" == run ]]
    run -0 bash_completes 'container-run x Debian '
    [[ "${output}" == bookworm ]]
    run -0 bash_completes 'container-list --all'
    [[ "${output}" == $'--all\n--all-users' ]]
    run -0 bash_completes 'container run x --workspace '
    [[ "$(sort <<< "${output}")" == $'one dir\ntwo' ]]
    run -0 bash_completes 'container-create x --workspace=o'
    [[ "${output}" == 'one dir' ]]
    run -0 bash_completes 'container-import o'
    [[ "$(sort <<< "${output}")" == $'one dir\none file' ]]
    run -0 bash_completes 'user-setup --only=v'
    [[ "${output}" == vscode ]]
}

# bats test_tags=engine
@test "help: completion knows containers, images, frameworks and kinds of GPU" {
    setup_gpus a100-40 a100-40:3g.20gb,1g.5gb
    open_ds01
    make_share
    "${BIN}/image-create" vision --from ds01/debian:bookworm --no-tiers --shared --quiet
    "${BIN}/image-create" secret --from ds01/debian:bookworm --no-tiers --quiet
    as_user alice "${BIN}/container-create" my-project Debian --gpus none --quiet
    "${BIN}/container-create" my-own Debian --gpus none --quiet
    "${BIN}/container-create" my-other Debian --gpus none --quiet
    "${BIN}/container-start" my-other --quiet

    run -0 bash_completes 'container-open my-'
    [[ "${output}" == $'my-other\nmy-own' ]]
    run -0 bash_completes 'container stop my-'
    [[ "${output}" == my-other ]]
    run -0 bash_completes 'container-remove my-own my-'
    [[ "${output}" == my-other ]]
    run -0 bash_completes 'container-create my-'
    [[ -z "${output}" ]]
    run -0 bash_completes 'image-show '
    [[ "${output}" == $'secret\nvision' ]]
    run -0 bash_completes 'container-run x --image ds01/debian:'
    [[ "${output}" == bookworm ]]
    run -0 bash_completes 'container-create x --gpus '
    [[ "${output}" == $'1g.5gb\n3g.20gb\nfull\nnone' ]]
    # Another user: own containers, what is shared, and the kinds that the policy lets that user have.
    local complete=("${ROOT}/venv/bin/python3" -sE "${ROOT}/python/complete.py" --)
    run -0 as_user alice "${complete[@]}" container run ''
    [[ "${output}" == my-project$'\t'* && "${#lines[@]}" == 1 ]]
    run -0 as_user alice "${complete[@]}" container-create x --image root/
    [[ "${lines[0]}" == root/vision$'\t'* && "${#lines[@]}" == 1 ]]
    run -0 as_user alice "${complete[@]}" container-create x --gpus ''
    [[ "${output}" == *3g.20gb* && "${output}" != *full* ]]
    # Who may not use the engine is told nothing, and no error.
    run -0 --separate-stderr as_user outsider "${complete[@]}" container run ''
    [[ -z "${output}${stderr}" ]]
}

# Type a line and a tab in the terminal, and wait for what must appear.
type_and_see() { # <line> <text>
    terminal_keys C-u
    terminal_keys -l "$1"
    terminal_keys Tab
    wait_for 10 terminal_shows "$2" || {
        terminal_screen
        return 1
    }
}

@test "help: a person at bash, by the folder where bash looks itself" {
    [[ -e /usr/share/bash-completion/bash_completion ]] || skip 'no bash-completion'
    make_share
    printf 'PS1="ready: "\nbind "set show-all-if-ambiguous on"\nsource /usr/share/bash-completion/bash_completion\n' > "${HOME}/.bashrc"
    terminal_start env "XDG_DATA_DIRS=${share}:/usr/share" bash -i
    wait_for 10 terminal_shows 'ready:'
    type_and_see 'container ru' 'container run'
    type_and_see 'container-run x De' 'x Debian'
    type_and_see 'container-create x --arch=CUDA_AD' 'arch=CUDA_ADA'
    type_and_see 'container-create --wai' 'create --wait'
    type_and_see 'user-setup --only ' 'vscode'
    type_and_see 'container-create -w /usr/inclu' '-w /usr/include/'
}

@test "help: a person at zsh" {
    type -P zsh > /dev/null || skip 'no zsh'
    make_share
    # shellcheck disable=SC2016 # zsh expands it
    printf 'fpath=(%q $fpath)\nautoload -Uz compinit\ncompinit -u -d %q\nPS1="ready: "\n' "${share}/zsh/site-functions" \
        "${HOME}/.zcompdump" > "${HOME}/.zshrc"
    terminal_start zsh -i
    wait_for 10 terminal_shows 'ready:'
    type_and_see 'container ru' 'container run'
    type_and_see 'container-run x De' 'x Debian'
    type_and_see 'container-create x --arch=CUDA_AD' 'arch=CUDA_ADA'
    type_and_see 'container-create --wai' 'create --wait'
    type_and_see 'container-create x -w /usr/inclu' '-w /usr/include/'
    type_and_see 'image ' 'Build the small Debian base image'
}

@test "help: a person at fish" {
    type -P fish > /dev/null || skip 'no fish'
    make_share
    mkdir -p "${HOME}/.config/fish"
    # shellcheck disable=SC2016 # fish expands nothing here either
    printf 'function fish_prompt; echo "ready: "; end\nset -g fish_greeting\nset -g fish_autosuggestion_enabled 0\n' \
        > "${HOME}/.config/fish/config.fish"
    # Where fish may put its file; it takes no folder that others can look into.
    mkdir -m 700 "${HOME}/run"
    terminal_start env "XDG_RUNTIME_DIR=${HOME}/run" "XDG_DATA_DIRS=${share}:/usr/share" fish
    wait_for 10 terminal_shows 'ready:'
    type_and_see 'container ru' 'container run'
    type_and_see 'container-run x De' 'x Debian'
    type_and_see 'container-create x --arch=CUDA_AD' 'arch=CUDA_ADA'
    type_and_see 'container-create --wai' 'wait in the queue'
    type_and_see 'container-create x -w /usr/inclu' '-w /usr/include/'
    type_and_see 'image ' 'Build the small Debian base'
}
