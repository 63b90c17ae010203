#!/usr/bin/env bats
# The header of a launcher is the only help text: complete, shown by --help, and in step with the parser.

load helper

launchers() {
    local file
    for file in "${BIN}"/*; do
        [[ -L "${file}" ]] || printf '%s\n' "${file}"
    done
}

# Is this `container`, `image` and the like, which only list their commands?
is_dispatcher() { # <launcher>
    grep -q 'lib/dispatch' "$1"
}

# The option words in a launcher's header.
header_options() { # <launcher>
    sed -n '/^# Options:/,/^# Examples:/p' "$1" | sed -nE 's/^# +(-.*)$/\1/p' \
        | sed -E 's/\(also (--[a-z_-]+)\)/~\1/; s/  [^~]*//' | grep -oE -- '-{1,2}[a-z][a-z_-]*' | sort -u
}

# The option words in the parser behind a launcher: the patterns of its case, and of the shared ones it calls.
parser_options() { # <launcher>
    local file="${ROOT}/lib/commands/${1##*/}.bash" own shared
    own="$(grep -oE '^ +-[-a-z| _]+\)' "${file}" | tr -d ' )' | tr '|' '\n' || true)"
    # container-import lists those of the shared options that it takes; the others take them all.
    shared="$(sed -n '/^create::option/,/^}/p' "${ROOT}/lib/create.bash" | grep -oE '^ +-[-a-z| _]+\)' | tr -d ' )' | tr '|' '\n')"
    if grep -q 'create::option "\$@"' "${file}" && grep -q 'CREATE_TAKEN > 0' "${file}"; then
        own+=$'\n'"${shared}"
    fi
    grep -E '^-[a-z-]' <<< "${own}" | grep -vx -e '--' | sort -u
}

@test "headers: every launcher has a summary, usage, options and an example" {
    local file summary
    while IFS= read -r file; do
        summary="$(sed -n 's/^# Summary: //p' "${file}")"
        [[ -n "${summary}" && ${#summary} -le 60 ]] || { printf 'summary of %s: %s\n' "${file}" "${summary}" && return 1; }
        [[ "$(sed -n 2p "${file}")" == '# Summary: '* ]]
        grep -q '^# Usage: '"${file##*/}" "${file}" || { printf 'usage of %s\n' "${file}" && return 1; }
        grep -q '^# Options:' "${file}"
        grep -qE '^# +-h, --help' "${file}"
        sed -n '/^# Examples:/,$p' "${file}" | grep -qE "^#   (sudo )?${file##*/}( |$)" || { printf 'example of %s\n' "${file}" && return 1; }
    done < <(launchers)
}

@test "headers: no line is longer than a terminal" {
    local file
    while IFS= read -r file; do
        run "${file}" --help
        [[ "${status}" -eq 0 ]]
        local line
        for line in "${lines[@]}"; do
            ((${#line} <= 80)) || { printf '%s: %s\n' "${file}" "${line}" && return 1; }
        done
    done < <(launchers)
}

@test "headers: --help shows the header on stdout and nothing on stderr" {
    local file
    while IFS= read -r file; do
        ! is_dispatcher "${file}" || continue
        run -0 --separate-stderr "${file}" --help
        [[ -z "${stderr}" ]]
        [[ "${lines[0]}" == "Summary: $(sed -n 's/^# Summary: //p' "${file}")" ]]
        [[ "${output}" == *"Examples:"* ]]
    done < <(launchers)
}

@test "headers: the options of the header are those of the parser" {
    local file
    while IFS= read -r file; do
        ! is_dispatcher "${file}" || continue
        diff <(header_options "${file}") <(parser_options "${file}") || { printf '%s\n' "${file}" && return 1; }
    done < <(launchers)
}

@test "headers: a wrong option is named, with the way to the help" {
    local file
    while IFS= read -r file; do
        ! is_dispatcher "${file}" || continue
        run -2 --separate-stderr "${file}" --no-such-option
        [[ -z "${output}" ]]
        [[ "${stderr_lines[0]}" == "${file##*/}: error: unknown option '--no-such-option'" ]]
        [[ "${stderr_lines[1]}" == "${file##*/}: hint: run '${file##*/} --help'"* ]]
    done < <(launchers)
}

@test "headers: a mistyped option is named with the one that was meant" {
    run -2 --separate-stderr "${BIN}/container-run" x --dryrun
    [[ "${stderr_lines[1]}" == "container-run: hint: did you mean '--dry-run'?" ]]
    run -2 --separate-stderr "${BIN}/container-run" --worspace=/tmp x
    [[ "${stderr_lines[0]}" == "container-run: error: unknown option '--worspace=/tmp'" ]]
    [[ "${stderr_lines[1]}" == "container-run: hint: did you mean '--workspace'?" ]]
    run -2 --separate-stderr "${BIN}/container-list" --josn
    [[ "${stderr_lines[1]}" == "container-list: hint: did you mean '--json'?" ]]
    run -2 --separate-stderr "${BIN}/container-list" --arc
    [[ "${stderr_lines[1]}" == "container-list: hint: did you mean '--architecture'?" ]]
    # One letter is like any other.
    run -2 --separate-stderr "${BIN}/container-list" -x
    [[ "${stderr_lines[1]}" == "container-list: hint: run 'container-list --help'"* ]]
    run -2 --separate-stderr "${ROOT}/install.sh" --uninstal
    [[ "${stderr_lines[1]}" == "install.sh: hint: did you mean '--uninstall'?" ]]
}

@test "headers: launchers are plain sh" {
    local file
    while IFS= read -r file; do
        [[ "$(head -n 1 "${file}")" == '#!/bin/sh' ]]
        dash -n "${file}"
    done < <(launchers)
}
