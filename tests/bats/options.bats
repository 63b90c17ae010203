#!/usr/bin/env bats
# What lib/options.bash reads in a header and in the words of a command line, and that what was read is used.

load helper

setup() {
    PROJECT_ROOT="${BATS_TEST_TMPDIR}/some folder"
    COMMAND_NAME=tool
    mkdir -p "${PROJECT_ROOT}/bin"
    header 'tool [options] NAME [VERSION]'
}

# Write the header of `tool`; without other options it has some of each kind.
header() { # <usage> [<options>]
    local options
    if (($# < 2)); then
        options='#   -g, --gpus REQUEST     GPUs: a number, or none (default: as the policy
#                          gives)
#       --gpu-mem SIZE     instead: the smallest
#       --wait[=DURATION]  wait in the queue
#   -au, --all-users   of all users (also --all_users)
#   -arch, --architecture show the architecture
#   -p, --packages LIST
#                          packages; repeatable
#       --tier TIER        one of them, may be repeated
#       --no-git           make none
#       --json             print JSON
#   -q, --quiet            say only what went wrong
#   -h, --help             show this text'
    else
        options="$2"
    fi
    printf '%s\n' '#!/bin/sh' '# Summary: Test the options' '#' "# Usage: $1" '#' '# Text with --words   -x of its own.' '#' \
        '# Options:' "${options}" '#' '# Examples:' '#   tool --example' 'exec nothing --code' > "${PROJECT_ROOT}/bin/tool"
}

# Read the words and print what they are, a line each.
parse() { # <word>...
    bash -c 'set -euo pipefail
        shopt -s inherit_errexit
        PROJECT_ROOT="$1" COMMAND_NAME="$2"
        for file in core nearest guide options; do source "$3/lib/${file}.bash"; done
        options::parse "${@:4}"
        for key in "${!OPTIONS[@]}"; do printf "%s=%s\n" "${key}" "${OPTIONS[${key}]}"; done | sort | grep -v "=$" || true
        for word in "${OPTIONS_GIVEN[@]}"; do printf "given %s\n" "${word}"; done
        for word in "${OPTIONS_WORDS[@]}"; do printf "word %s\n" "${word}"; done
        for word in "${OPTIONS_COMMAND[@]}"; do printf "command %s\n" "${word}"; done
        printf "at %s\n" "${OPTIONS_WORD_AT}"
        for option in --packages --tier; do
            [[ -n "${OPTIONS_TEXT["${option}"]:-}" ]] || continue
            values=() && options::values values "${option}"
            for word in "${values[@]}"; do printf "%s %s\n" "${option}" "${word}"; done
        done
        printf "quiet %s, guided %s\n" "${CORE_QUIET}" "${GUIDE_ON}"' \
        _ "${PROJECT_ROOT}" "${COMMAND_NAME}" "${ROOT}" "$@"
}

# Is this the whole of what was read?
reads() { # <line>...
    printf '%s\n' "${output}"
    diff <(printf '%s\n' "$@") <(grep -v '^at \|^quiet , guided $' <<< "${output}")
}

# Was that refused, in these words?
refuses() { # <error> <hint>
    [[ -z "${output}" ]]
    diff <(printf 'tool: error: %s\ntool: hint: %s\n' "$1" "$2") <(printf '%s\n' "${stderr}")
}

# Every command whose words the parser reads, and the installer.
commands() {
    local file
    for file in "${ROOT}"/lib/commands/*.bash; do
        ! grep -q 'options::parse' "${file}" || basename "${file}" .bash
    done
    printf 'install.sh\n'
}

# What a header says of its options, read in another way: `NAMES|VALUE|repeats`, a line each. Lines that are not of the
# form are printed as they are.
described() { # <launcher>
    sed -n '/^# Options:/,/^# *$/p' "$1" | sed '1d;$d' | awk '
        match($0, /^# +-/) && RLENGTH < 14 { if (entry != "") print entry; entry = $0; next }
        { entry = entry "  " $0 }
        END { print entry }' \
        | sed -E '/^#( {3}| {7})-/!b
            s/^#( {3}| {7})(--?[a-z][a-z-]*(, --[a-z][a-z-]*)?)((\[=[A-Z]+\]| [A-Z][A-Z-]*)?)(  | [a-z]|$)/\2|\4|\6/
            /repeat/!s/\|([^|]*)\|.*/|\1|/; s/\|([^|]*)\|.*repeat.*/|\1|yes/'
}

# The same, as the parser has it.
parsed() { # <root> <command>
    bash -c 'set -euo pipefail
        PROJECT_ROOT="$1" COMMAND_NAME="$2"
        for file in core nearest options; do source "$3/lib/${file}.bash"; done
        options::read_header
        names=""
        for name in "${OPTIONS_NAMES[@]}"; do
            options::_find long kind "${name}"
            names+="${names:+, }${name}" text="${OPTIONS_TEXT["${long}"]}" repeats=""
            [[ "${name}" == "${long}" ]] || continue
            case "${kind}" in
                needed) kind="${text# }" kind=" ${kind%%[ #]*}" ;;
                free) kind="${text%%]*}]" ;;
            esac
            [[ "${text}" != *repeat* ]] || repeats=yes
            printf "%s|%s|%s\n" "${names}" "${kind}" "${repeats}"
            names=""
        done' _ "$1" "$2" "${ROOT}"
}

# The launcher of a command, and the file with its main.
launcher_of() { # <command>
    [[ "$1" == install.sh ]] && printf '%s\n' "${ROOT}/install.sh" || printf '%s\n' "${ROOT}/bin/$1"
}

main_of() { # <command>
    [[ "$1" == install.sh ]] && printf '%s\n' "${ROOT}/install.sh" || printf '%s\n' "${ROOT}/lib/commands/$1.bash"
}

@test "options: the header of every command is read whole" {
    local command count=0
    while IFS= read -r command; do
        diff <(described "$(launcher_of "${command}")") <(parsed "${ROOT}" "${command}") \
            || { printf '%s\n' "${command}" && return 1; }
        count=$((count + 1))
    done < <(commands)
    ((count > 25))
}

@test "options: a line of a header that is not of the form is found" {
    local line help=$'\n''#   -h, --help             show this text'
    header 'tool [options]' "#   -n, --dir DIR  such${help}"
    diff <(described "${PROJECT_ROOT}/bin/tool") <(parsed "${PROJECT_ROOT}" tool)
    for line in '#     -x, --indent      wrong column' '#       --value=DIR     not a value' '#   -x,--close        no blank' \
        '#       --Upper     a capital' '#       --value Dir  not a value'; do
        header 'tool [options]' "${line}${help}"
        ! diff <(described "${PROJECT_ROOT}/bin/tool") <(parsed "${PROJECT_ROOT}" tool) > /dev/null \
            || { printf 'not found: %s\n' "${line}" && return 1; }
    done
}

# The long names of a command's options, but for those that the parser itself serves.
long_names() { # <root> <command>
    parsed "$1" "$2" | cut -d '|' -f 1 | sed 's/.*, //' | grep -vxE -e '--(help|quiet|guided)' || true
}

# Is an option used in one of the files: as itself, by way of a table, among those that are walked through, or handed
# with all others to a helper that knows it?
is_used() { # <long name> <file>...
    local long="$1" key="${1#--}" helper
    shift
    key="${key//-/_}"
    grep -qE "(OPTIONS|CREATE|IMAGE|PROJECT|SETUP)\[${key}\]|[ |]${long}(=\*)?( \||\))|options::values [A-Za-z_]+ ${long}\$" "$@" \
        && return
    # The folders of an installation.
    grep -qE "for key in( [a-z_]+)* ${key}[ ;]" "$@" && return
    helper="$(sed -nE 's/.*core::(become_)?helper ([a-z_]+).*"\$\{OPTIONS_GIVEN\[@\]\}".*/\2/p' "$1" | head -n 1)"
    [[ -n "${helper}" ]] && grep -rqE --include='*.py' -- "[\"']${long}[\"']" "${ROOT}/python"
}

@test "options: a command uses every option that its header has" {
    local command long files unused=()
    while IFS= read -r command; do
        files=("$(main_of "${command}")")
        ! grep -q 'create::take_options' "${files[0]}" || files+=("${ROOT}"/lib/create*.bash)
        ! grep -q 'image::take_options' "${files[0]}" || files+=("${ROOT}"/lib/image_*.bash)
        while IFS= read -r long; do
            is_used "${long}" "${files[@]}" || unused+=("${command} ${long}")
        done < <(long_names "${ROOT}" "${command}")
    done < <(commands)
    printf '%s\n' "${unused[@]}"
    ((${#unused[@]} == 0))
    # One that is in no command is found.
    ! is_used --no-such-thing "$(main_of container-list)" || return 1
    ! is_used --no-such-thing "$(main_of ds01-events)" || return 1
}

@test "options: a command reads no option that its header does not have" {
    local command key known
    while IFS= read -r command; do
        known="$(long_names "${ROOT}" "${command}" | tr - _)"
        while IFS= read -r key; do
            grep -qx -- "__${key}" <<< "${known}" || { printf '%s: %s\n' "${command}" "${key}" && return 1; }
        done < <(sed 's/OPTIONS\[help\]?//' "$(main_of "${command}")" | grep -oE 'OPTIONS\[[a-z_]+\]' | sed 's/.*\[//; s/\]//')
    done < <(commands)
}

@test "options: values come behind a blank or an equals sign, with a short or a long name" {
    run -0 parse -g 1 name
    reads gpus=1 'given --gpus=1' 'word name'
    run -0 parse --gpus 1 --gpu-mem=2g
    reads gpu_mem=2g gpus=1 'given --gpus=1' 'given --gpu-mem=2g'
    # Whatever it looks like.
    run -0 parse --gpus --json --gpu-mem -- --gpus='a=b  c'
    reads gpu_mem=-- 'gpus=a=b  c' 'given --gpus=--json' 'given --gpu-mem=--' 'given --gpus=a=b  c'
    run -0 parse -g $'two\nlines'
    [[ "${output}" == *$'given --gpus=two\nlines\n'* ]]
}

@test "options: one without a value is yes, and all names of it are one" {
    run -0 parse --no-git -au --all_users --all-users -arch
    reads all_users=yes architecture=yes no_git=yes 'given --no-git' 'given --all-users' 'given --all-users' 'given --all-users' \
        'given --architecture'
}

@test "options: a value that may be left out comes only behind an equals sign" {
    run -0 parse --wait 2h
    reads wait=yes 'given --wait' 'word 2h'
    run -0 parse --wait=2h --wait
    reads wait=yes wait_value=2h 'given --wait=2h' 'given --wait'
    run -2 --separate-stderr parse --wait=
    refuses "option '--wait' needs a value" "run 'tool --help' to see its options"
}

@test "options: of one that may be repeated all values are kept, in their order" {
    run -0 parse --tier a -p 'x y' --tier=b --packages=z
    reads packages=z tier=b 'given --tier=a' 'given --packages=x y' 'given --tier=b' 'given --packages=z' \
        '--packages x y' '--packages z' '--tier a' '--tier b'
    # Where the header does not say so, nobody would know.
    header 'tool [options]' '#       --tier TIER        one of them'
    run -1 --separate-stderr parse --tier a
    [[ "${stderr}" == *"does not say 'repeatable'"* ]]
}

@test "options: a value that is missing or empty is told" {
    local words
    for words in '-g' 'name -g'; do
        # shellcheck disable=SC2086 # they are words
        run -2 --separate-stderr parse ${words}
        refuses "option '-g' needs a value" "run 'tool --help' to see its options"
    done
    run -2 --separate-stderr parse --gpus ''
    refuses "option '--gpus' needs a value" "run 'tool --help' to see its options"
    run -2 --separate-stderr parse --gpus=
    refuses "option '--gpus' needs a value" "run 'tool --help' to see its options"
}

@test "options: what is no option of the header is refused, with the nearest one" {
    local word
    run -2 --separate-stderr parse --jsno
    refuses "unknown option '--jsno'" "did you mean '--json'?"
    # It takes no value.
    run -2 --separate-stderr parse --json=x
    refuses "unknown option '--json=x'" "did you mean '--json'?"
    for word in -x -g=1 - --=x --words --example --code '--]' '--$(id)' '--*' "--'" $'--\nx' '-é'; do
        run -2 --separate-stderr parse "${word}"
        refuses "unknown option '${word//[[:cntrl:]]/?}'" "run 'tool --help' to see its options"
    done
    # The beginning of one is not the option.
    run -2 --separate-stderr parse --gpu 1
    refuses "unknown option '--gpu'" "did you mean '--gpus'?"
}

@test "options: behind two dashes all words are words" {
    run -0 parse -- --json -g
    reads 'word --json' 'word -g'
    run -0 parse a --json -- --
    reads json=yes 'given --json' 'word a' 'word --'
}

@test "options: there are as many words as the usage has" {
    run -0 parse a ''
    reads 'word a' 'word '
    run -2 --separate-stderr parse a b c d
    refuses "unexpected word 'c'" "run 'tool --help' to see its options"
    header 'tool [options] [NAME...]'
    run -0 parse a b c d
    reads 'word a' 'word b' 'word c' 'word d'
    # None at all: the first is told at once, and two dashes are of no use.
    header 'tool [options]'
    run -2 --separate-stderr parse a --nope
    refuses "unexpected word 'a'" "run 'tool --help' to see its options"
    run -2 --separate-stderr parse --
    refuses "unknown option '--'" "run 'tool --help' to see its options"
    # Verbs are the command's own business.
    header $'tool check [options]\n#        tool show [options] [USER]'
    run -0 parse a b c d
    reads 'word a' 'word b' 'word c' 'word d'
}

@test "options: a dash alone is a word where there is a file" {
    header 'tool [options] NAME [FILE]'
    run -0 parse a - -q
    reads quiet=yes 'given --quiet' 'word a' 'word -' 'quiet yes, guided '
}

@test "options: where a command may come, it is what is behind the dashes, and nothing of it is read" {
    header 'tool [options] NAME [-- COMMAND...]'
    run -0 parse --json a -- ls --help -- b
    reads json=yes 'given --json' 'word a' 'command ls' 'command --help' 'command --' 'command b'
    [[ "${output}" == *$'\nat 2\n'* ]]
    run -2 --separate-stderr parse a b -- ls
    refuses "unexpected word 'b'" "run 'tool --help' to see its options"
}

@test "options: help, quiet and the guide are the same for all" {
    run -0 --separate-stderr parse a b c d --json --help --nope
    [[ -z "${stderr}" && "${lines[0]}" == 'Summary: Test the options' ]]
    run -2 --separate-stderr parse --nope --help
    [[ -z "${output}" ]]
    run -2 --separate-stderr parse --guided
    refuses "unknown option '--guided'" "run 'tool --help' to see its options"
    header 'tool [options]' $'#       --guided           explain\n#   -q, --quiet            say only what went wrong'
    run -0 parse --guided -q
    reads guided=yes quiet=yes 'given --guided' 'given --quiet' 'quiet yes, guided yes'
}
