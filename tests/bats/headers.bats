#!/usr/bin/env bats
# The header of a launcher is the only help text: complete, and shown by --help. options.bats has what is read from it.

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
