#!/usr/bin/env bats
# What lib/core.bash does by itself.

load helper

setup() {
    PROJECT_ROOT="${ROOT}" COMMAND_NAME=core
    source "${ROOT}/lib/core.bash"
}

@test "core: Ctrl-C while a helper starts ends it with 130, and Python has nothing to say" {
    local delay status ended=0
    setup_ds01
    for delay in $(seq 0 0.003 0.1); do
        interruptible bash -c 'PROJECT_ROOT=$1 COMMAND_NAME=core && source "$1/lib/core.bash" && core::helper settings show' \
            x "${ROOT}"
        sleep "${delay}"
        kill -INT -- "-${started}" 2> /dev/null || true
        status=0
        wait "${started}" || status=$?
        [[ "${status}" -eq 130 || "${status}" -eq 0 ]]
        ! grep -qE 'Python|Traceback|KeyboardInterrupt' "${BATS_TEST_TMPDIR}/out" || return 1
        ((status == 0)) || ended=$((ended + 1))
    done
    ((ended > 5))
}

@test "core: a member of an object is read as jq reads it, whatever else is in the object" {
    local json value name
    json="$(python3 -c 'import json, sys
json.dump({"odd": "a\"b\\n \n\t\x07\\\\ ü%s $(x) `y` \\x22 \\u0041,\"running\":true,", "inner": {"deep": 1, "last": "no"},
    "running": False, "list": [], "number": -3.5, "none": None, "empty": "", "true": True, "end": "\\"},
    sys.stdout, ensure_ascii=False, separators=(",", ":"))')"
    for name in odd running number empty true end; do
        core::member value "${json}" "${name}"
        [[ "${value}" == "$(jq -r --arg name "${name}" '.[$name]' <<< "${json}")" ]]
    done
    for name in none list inner missing; do
        value=before
        core::member value "${json}" "${name}"
        [[ -z "${value}" ]]
    done
    local -A kept=([odd]=before [other]=stays)
    core::member 'kept[odd]' "${json}" odd
    [[ "${kept[odd]}" == 'a"b\n '* && "${kept[other]}" == stays ]]
    core::is_true "${json}" true
    ! core::is_true "${json}" running || return 1
    ! core::is_true '' running || return 1
}

@test "core: a clone that nothing was installed for says so in one line, whatever is typed" {
    local clone="${BATS_TEST_TMPDIR}/clone" file name words
    mkdir -p -- "${clone}/path" && cp -a -- "${ROOT}"/{bin,lib,python,config,templates,aime-ml-containers} "${clone}"
    # A Python without any package but its own.
    printf '#!/bin/sh\nexec /usr/bin/python3 -S "$@"\n' > "${clone}/path/python3"
    chmod 755 "${clone}/path/python3"
    for file in "${ROOT}"/lib/commands/*.bash; do
        name="${file##*/}" name="${name%.bash}"
        case "${name}" in
            container-create | container-run) words=(x Debian) ;;
            container-stop | container-start | container-open | container-why | container-keep | container-export) words=(x) ;;
            container-remove | image-delete) words=(x --yes) ;;
            container-save | image-update | image-show | project-init) words=(x) ;;
            container-import) words=("${file}" x) ;;
            image-create) words=(x --from debian) ;;
            user-setup) words=(--yes) ;;
            # What needs no helper: docker's own packages, or docker.
            image-base) words=(--dry-run) ;;
            ds01-docker) words=(ps) ;;
            ds01-config) words=(show) ;;
            gpu-explain) words=(--request 1) ;;
            *) words=() ;;
        esac
        # Without DOCKER_HOST the settings say where the engine is.
        PATH="${clone}/path:${PATH}" run --separate-stderr env -u DOCKER_HOST timeout 60 \
            "${clone}/bin/${name}" "${words[@]}" < /dev/null
        printf '%s: %s\n%s\n' "${name}" "${status}" "${stderr}"
        [[ "${output}${stderr}" != *Traceback* && "${output}${stderr}" != *ModuleNotFound* ]]
        case "${name}" in
            image-base | user-setup) ;;
            # The logs need no package.
            ds01-events | ds01-report) [[ "${status}" -eq 7 ]] ;;
            *)
                [[ "${status}" -eq 7 ]]
                [[ "${stderr}" == *"${name}: error: the Python package '"*"' is not installed here"* ]]
                [[ "${stderr}" == *"${name}: hint: run './install.sh', or 'tests/run' in a clone"* ]]
                ;;
        esac
    done
}
