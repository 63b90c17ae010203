#!/usr/bin/env bats
# Every command typed bare where nobody can be asked: it never waits, and says which words it needs.

load helper

# These do their work without words: tables, checks, the pass of cron, the base image, the nouns' lists.
readonly NEED_NO_WORDS=' check-limits container container-list container-stats ds01 ds01-doctor ds01-events
    ds01-lifecycle ds01-report gpu gpu-queue gpu-status image image-base image-list '

setup() {
    setup_ds01
    # An engine that is not there: a command that asks it before it says which words are missing is found out.
    export DOCKER_HOST=unix:///nowhere/docker.sock
}

launchers() {
    local file
    for file in "${BIN}"/*; do
        [[ -L "${file}" ]] || printf '%s\n' "${file##*/}"
    done
}

# Fails unless the command ends at once with status 2, saying what is missing.
refuses() { # <command> <what>
    ((status == 2)) || { printf '%s %s: status %s\n%s\n' "$1" "$2" "${status}" "${stderr}" && return 1; }
    [[ "${stderr_lines[0]}" =~ ^$1:\ error:\ missing\ .+ ]] || { printf '%s\n' "${stderr}" && return 1; }
    [[ "${stderr_lines[1]}" == "$1: hint: "* && -z "${output}" ]]
}

@test "bare: without a terminal, a command that needs words names them and ends with 2" {
    local name
    while IFS= read -r name; do
        [[ "${NEED_NO_WORDS}" != *" ${name}"[[:space:]]* ]] || continue
        run --separate-stderr timeout 120 "${BIN}/${name}" < /dev/null
        refuses "${name}" 'with nothing on stdin'
        run --separate-stderr timeout 120 "${BIN}/${name}" <&-
        refuses "${name}" 'with stdin closed'
    done < <(launchers)
}

@test "bare: a terminal on stdin alone, as cron's mail or a log has it, is nobody to ask" {
    local name
    while IFS= read -r name; do
        [[ "${NEED_NO_WORDS}" != *" ${name}"[[:space:]]* ]] || continue
        run --separate-stderr timeout 120 script -qec "${BIN@Q}/${name} 2> ${BATS_TEST_TMPDIR@Q}/stderr" /dev/null < /dev/null
        ((status == 2))
        [[ "$(head -n 1 "${BATS_TEST_TMPDIR}/stderr")" == "${name}: error: missing "* ]]
    done < <(launchers)
}

@test "bare: a command that needs no words ends by itself, with stdin closed too" {
    local name
    for name in ${NEED_NO_WORDS}; do
        # It would build an image, which other tests do.
        [[ "${name}" != image-base && "${name}" != ds01-lifecycle ]] || continue
        [[ -x "${BIN}/${name}" ]] || { printf 'no command %s\n' "${name}" && return 1; }
        run --separate-stderr timeout 120 "${BIN}/${name}" <&-
        ((status != 124 && status != 2)) || { printf '%s: status %s\n%s\n' "${name}" "${status}" "${stderr}" && return 1; }
        [[ "${stderr}" != *unbound* && "${stderr}" != *Traceback* ]]
    done
}
