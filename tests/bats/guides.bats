#!/usr/bin/env bats
# The guides agree with the commands. Each line that docs/users-guide.md and docs/administration.md give to be typed is
# typed here in a terminal, one after the other, or `not_here` names why it cannot be; messages, exit codes, commands
# and options that the documents name are those of the program.

load helper
load gpu_helper
load images_helper

setup() {
    setup_ds01
    export PATH="${BIN}:${PATH}"
}

teardown() {
    terminal_stop
    teardown_images
    teardown_gpus
}

# The lines of a guide that are to be typed: those of its `sh` blocks, and those behind a prompt in other blocks.
lines_of() { # <guide>
    awk '/^```/ { inside = !inside; kind = substr($0, 4); next }
        inside && (kind == "sh" ? NF : sub(/^\$ /, "")) { sub(/ +# .*/, ""); print }' "${ROOT}/docs/$1"
}

# Why a line is not typed here. Prints: the reason. Returns: 1 for a line that must be typed.
not_here() { # <line>
    case "$1" in
        'git clone '*) printf 'the address is left open, and GitHub is not reached\n' ;;
        './install.sh --demo') printf 'install.bats runs it on a whole machine seen through overlays\n' ;;
        'container-run thesis -- jupyter lab --no-browser --port 8899') printf 'Jupyter takes a minute to build\n' ;;
        *) return 1 ;;
    esac
}

# A terminal at whose prompt the last status stands.
begin_typing() {
    terminal_start env 'PS1=status $?: ' bash --norc -i
    wait_for 10 terminal_shows 'status 0:'
}

# The last line is the prompt, of the shell or of one in a container.
is_back() {
    local last
    last="$(terminal_screen | sed '/^$/d' | tail -n 1)"
    [[ "${last}" =~ ^'status '[0-9]+: || "${last}" =~ ^'['.*']'.*['$#']$ ]]
}

# Type a line, answer what it asks, and see how it ends.
type_line() { # <statuses> <line> [<question> <key>]...
    local statuses="$1" line="$2" status
    shift 2
    terminal_keys -R
    tmux -L "${TERMINAL}" clear-history -t t
    terminal_keys -l -- "${line}"
    terminal_keys Enter
    while (($# > 0)); do
        wait_for 30 terminal_shows "$1" || { printf 'after %s there is no: %s\n' "${line}" "$1" && return 1; }
        read -ra keys <<< "$2"
        terminal_keys "${keys[@]}"
        shift 2
    done
    sleep 0.1
    wait_for 60 is_back || { terminal_screen && return 1; }
    [[ "${statuses}" != inside ]] || return 0
    status="$(terminal_screen | sed -nE 's/^status ([0-9]+):.*/\1/p' | tail -n 1)"
    [[ " ${statuses} " == *" ${status} "* ]] || { terminal_screen && return 1; }
}

# Type all lines of a guide; `typed` says how each is.
type_guide() { # <guide> <function>
    local line begun
    begin_typing
    while IFS= read -r -u 9 line; do
        begun="$(date +%s%N)"
        if not_here "${line}"; then
            printf 'not here: %s\n' "${line}"
            continue
        fi
        "$2" "${line}" || { printf 'FAILED, or not known to this test: %s\n' "${line}" && return 1; }
        printf '%6d ms  %s\n' "$((($(date +%s%N) - begun) / 1000000))" "${line}"
    done 9< <(lines_of "$1")
}

# How a line of the user's guide is answered, and with which status it ends.
type_for_user() { # <line>
    # The guide leaves it to the reader when the shell of the line before is left.
    if [[ -n "${inside}" && "$1" != python3* && "$1" != exit ]]; then
        type_line 0 exit && inside='' || return 1
    fi
    case "$1" in
        user-setup) type_line '0 7 130' "$1" 'no folder' Enter 'no SSH key' Escape ;;
        'project-init thesis --container') type_line 0 "$1" 'be built on' Enter ;;
        'container-run thesis') type_line inside "$1" && inside=yes ;;
        python3*) type_line inside "$1" && terminal_shows 'data in /workspace/thesis/data' ;;
        exit) type_line 0 "$1" && inside='' ;;
        'container-stop thesis')
            container-start thesis --quiet
            type_line 0 "$1" 'will be stopped' 'Left Enter'
            ;;
        'container-stats')
            container-start thesis --quiet
            type_line 0 "$1" && terminal_shows 'thesis '
            ;;
        'container-remove thesis') type_line 0 "$1" 'will be removed' 'Left Enter' ;;
        'container-create train '*)
            docker rm --force "train._.${UID}" > /dev/null 2>&1 || true
            type_line 0 "$1" && terminal_shows 'next       container-open train'
            ;;
        'container-keep train '*)
            container-start train --quiet
            type_line 0 "$1"
            ;;
        container-* | gpu-*) type_line 0 "$1" ;;
        *) return 1 ;;
    esac
}

# bats test_tags=engine
@test "guides: each line of the user's guide is typed" {
    local inside=''
    setup_gpus a100-40 a100-80:1g.10gb,1g.10gb,2g.20gb
    small_tiers
    # The real one is 20 GB; the catalog's name for it is what counts here.
    export MLC_ARCH=CUDA_ADA
    docker tag ds01/debian:bookworm aimehub/pytorch-2.8.0-cuda12.6.3
    printf '[user]\nname = A\nemail = a@b.example\n' > "${HOME}/.gitconfig"
    cd -- "${HOME}"
    type_guide users-guide.md type_for_user
}

type_for_administrator() { # <line>
    case "$1" in
        # A healthy server is not what the bench is.
        ds01-doctor) type_line '0 6 7' "$1" && terminal_shows ' metrics ' ;;
        'ds01-config check') type_line 0 "$1" ;;
        'ds01-config show alice') type_line 0 "ds01-config show $(id -un)" ;;
        *) return 1 ;;
    esac
}

# bats test_tags=engine
@test "guides: each line of the administrator's guide is typed" {
    type_guide administration.md type_for_administrator
}

@test "guides: what cannot be typed here is still in a guide, and a line that nobody knows fails" {
    local line count=0
    while IFS= read -r line; do
        ! not_here "${line}" > /dev/null || count=$((count + 1))
    done < <(lines_of users-guide.md && lines_of administration.md)
    [[ "${count}" -eq "$(declare -f not_here | grep -c 'printf')" ]]
    run ! not_here 'container-fly thesis'
    local inside=''
    run ! type_for_user 'fly thesis'
    run ! type_for_administrator 'container-list'
}

# Whose words a message in a guide's table is, where they are not DS01's.
foreign_words() { # <message>
    case "$1" in
        Killed | 'No space left on device' | /dev/shm) ;; # the kernel
        'CUDA error: no device') ;;                       # the program's, by NVIDIA's library
        *) return 1 ;;
    esac
}

@test "guides: the messages and exit codes that they quote are the program's" {
    local row code message codes=0 messages=0
    while IFS= read -r row; do
        while IFS= read -r code; do
            grep -qE "^\| ${code} \| " "${ROOT}/docs/exit-codes.md" || { printf 'no code: %s\n' "${row}" && return 1; }
            codes=$((codes + 1))
        done < <(grep -oE 'exit (code|status) [0-9]+' <<< "${row}" | grep -oE '[0-9]+$')
        row="${row#| }"
        while IFS= read -r message; do
            message="${message//\`/}"
            messages=$((messages + 1))
            foreign_words "${message}" && continue
            grep -rqF --include='*.bash' --include='*.py' -- "${message}" "${ROOT}/lib" "${ROOT}/python" \
                || { printf 'nobody says: %s\n' "${message}" && return 1; }
        done < <(grep -oE '`[^`]+`' <<< "${row%%|*}")
    done < <(sed -n '/^## When something goes wrong/,$p' "${ROOT}/docs/users-guide.md" | grep '^| ' | sed 1d)
    while IFS= read -r code; do
        grep -qE "^\| ${code} \| " "${ROOT}/docs/exit-codes.md" || { printf 'no code: %s\n' "${code}" && return 1; }
    done < <(cat "${ROOT}/README.md" "${ROOT}"/docs/*.md | grep -oE 'exit (code|status) [0-9]+' | grep -oE '[0-9]+$')
    ((codes >= 2 && messages >= 5))
}

# The commands that a document names, in code and in blocks. Prints: one in a line.
commands_in() { # <file>
    awk '/^ *```/ { inside = !inside; next } !inside { print }' "$1" | grep -oE '`[^`]+`' | tr -d '`'
    awk '/^ *```/ { inside = !inside; kind = substr($0, 4); next }
        inside && (kind == "sh" ? NF : sub(/^\$ /, "") || /^(container|image|gpu|ds01)-[a-z]+ /) {
            sub(/ +# .*/, "")
            print
        }' "$1"
}

@test "guides: every command that a document names is there, with the options that stand behind it" {
    local file line words word launcher count=0
    while IFS= read -r file; do
        while IFS= read -r line; do
            line="${line#sudo }"
            read -ra words <<< "${line}"
            launcher="${words[0]:-}"
            case "${launcher}" in
                ./install.sh | /opt/ds01/install.sh | install.sh) launcher="${ROOT}/install.sh" ;;
                container | image | gpu | ds01)
                    [[ "${words[1]:-}" =~ ^[a-z]+$ && -x "${BIN}/${launcher}-${words[1]}" ]] || continue
                    launcher="${BIN}/${launcher}-${words[1]}"
                    ;;
                ds01-docker) continue ;; # its options are docker's
                *)
                    [[ "${launcher}" =~ ^(container|image|gpu|ds01|user|project|check)-[a-z]+$ ]] || continue
                    launcher="${BIN}/${launcher}"
                    [[ -x "${launcher}" ]] || { printf '%s: no command: %s\n' "${file}" "${line}" && return 1; }
                    ;;
            esac
            for word in "${words[@]:1}"; do
                [[ "${word}" != -- && "${word}" != '|' ]] || break
                word="${word%%=*}"
                [[ "${word}" =~ ^--?[a-z][a-z-]*$ ]] || continue
                count=$((count + 1))
                grep -qE -- "^#.* ${word}([ ,=[]|\$)" "${launcher}" \
                    || { printf '%s: no option %s: %s\n' "${file}" "${word}" "${line}" && return 1; }
            done
        done < <(commands_in "${file}")
    done < <(printf '%s\n' "${ROOT}/README.md" "${ROOT}"/docs/*.md)
    ((count > 40))
}
