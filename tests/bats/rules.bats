#!/usr/bin/env bats
# The house rules that a machine can check, each with its reason. A line may opt out with `# rule: <reason>`.

load helper

# Shell lines that hold a pattern, without comments and without those that opt out.
offenders() { # <pattern> <file>...
    local pattern="$1"
    shift
    grep -nEH -- "${pattern}" "$@" | grep -vE '^[^:]+:[0-9]+:[[:space:]]*#|# rule: ' || true
}

# Fails, showing the lines, if there are any.
none() { # <reason> <lines>
    if [[ -n "$2" ]]; then
        printf '%s\n%s\n' "$1" "$2"
        return 1
    fi
}

shell_files() {
    find "${ROOT}/lib" -type f
    find "${ROOT}/bin" -type f
}

@test "rules: no eval" {
    mapfile -t files < <(shell_files)
    none "data would be run as code" "$(offenders '(^|[^[:alnum:]_-])eval([^[:alnum:]_-]|$)' "${files[@]}")"
}

@test "rules: no echo -e and no backticks" {
    mapfile -t files < <(shell_files)
    none "printf is the same everywhere" "$(offenders 'echo +-[en]' "${files[@]}")"
    none "they nest badly; use \$( )" "$(offenders '`' "${files[@]}")"
}

@test "rules: docker is run in lib/docker.bash only" {
    mapfile -t files < <(shell_files | grep -v '/lib/docker.bash$')
    none "one place knows docker's words" \
        "$(offenders '(^|[;&|(]|\$\() *docker +[a-z]' "${files[@]}")"
}

@test "rules: whiptail is named in lib/menu.bash only" {
    mapfile -t files < <(shell_files | grep -v '/lib/menu.bash$')
    none "one place knows dialogues" "$(offenders 'whiptail' "${files[@]}")"
}

@test "rules: helpers are started by core::helper only" {
    # The installer runs the copy that it has just put in place.
    mapfile -t files < <(shell_files | grep -v -e '/lib/core.bash$' -e '/lib/install/')
    none "their isolation and interpreter are chosen in one place" \
        "$(offenders 'python3.*python/[a-z_]+\.py' "${files[@]}")"
}

@test "rules: local and its value are two statements" {
    mapfile -t files < <(shell_files)
    none "local hides the status of \$( )" "$(offenders 'local +[a-z_]+="?\$\(' "${files[@]}")"
}

@test "rules: no arithmetic command that ends a script at zero" {
    mapfile -t files < <(shell_files)
    none "((n++)) is false when n was 0" "$(offenders '^ *\(\([a-z_]+(\+\+|--)\)\) *$' "${files[@]}")"
}

@test "rules: what is to be typed next has no placeholder to fill in" {
    mapfile -t files < <(shell_files && printf '%s\n' "${ROOT}/install.sh" "${ROOT}"/python/*.py)
    # Words in single quotes within a message that begin with a command or an option.
    none "a hint can be typed as it stands" \
        "$(offenders "\"([^\"]*[ (])?'(--)?[a-z][^'\"]*([ =/,][A-Z]{2,}([^A-Za-z0-9_=]|$)|…|<[a-z]+>)" "${files[@]}")"
}

@test "rules: nothing parses ls" {
    mapfile -t files < <(shell_files)
    none "names may hold anything" "$(offenders 'in +\$\(ls[ )]' "${files[@]}")"
}

@test "rules: only state.py's modules write below the state and log folders" {
    # Anchored at the calls that open for writing; locked_files.py is the one module that does for state.py.
    local pattern='\.write_text\(|\.write_bytes\(|os\.replace\(|open\([^)]*["'\''][wa]'
    run bash -c 'grep -HE "$1" "${@:2}" | grep -vF "state.write_text(" | cut -d: -f1 | sort -u' \
        _ "${pattern}" "${ROOT}"/python/*.py
    ((${#lines[@]} > 3))
    local file
    for file in "${lines[@]}"; do
        case "${file##*/}" in
            locked_files.py | event_log.py) ;;                       # called by state.py
            help_pages.py) ;;                                        # writes the pages about the commands
            catalog.py) ;;                                           # writes the overlay, in a temporary folder
            project_files.py) ;;                                     # makes a project's folder
            docker_gateway.py) ;;                                    # writes the report that its caller asked for
            image_source.py) ;;                                      # writes an image's folder, which is a person's
            image_stage.py | image_docker.py | image_workshop.py) ;; # a build's temporary folder and log
            image_probe.py) ;;                                       # remembers in the user's cache what a base has
            report_show.py) ;;                                       # writes the page that its caller asked for
            *)
                printf 'writes files: %s\n' "${file}"
                return 1
                ;;
        esac
    done
}

@test "rules: the exit codes are the same in docs, shell and Python" {
    local code name rows=0
    while IFS='|' read -r _ code name _; do
        code="${code// /}" name="${name// /}"
        [[ "${code}" =~ ^[0-9]+$ ]] || continue
        rows=$((rows + 1))
        grep -qE "EXIT_${name}=${code}( |$)" "${ROOT}/lib/core.bash"
        grep -qE "^    ${name} = ${code}$" "${ROOT}/python/_common.py"
    done < "${ROOT}/docs/exit-codes.md"
    [[ "${rows}" -eq "$(grep -cE '^    [A-Z_]+ = [0-9]+$' "${ROOT}/python/_common.py")" ]]
    [[ "${rows}" -eq "$(grep -oE 'EXIT_[A-Z_]+=' "${ROOT}/lib/core.bash" | wc -l)" ]]
}

@test "rules: every library says its purpose and has no effect but definitions" {
    local file
    for file in "${ROOT}"/lib/*.bash; do
        [[ "$(sed -n 1p "${file}")" == '# shellcheck shell=bash' ]]
        [[ "$(sed -n 2p "${file}")" == '# '* ]]
    done
    # Loading all of them prints nothing and leaves the folder as it is.
    mkdir "${BATS_TEST_TMPDIR}/empty"
    run --separate-stderr bash -c 'cd "$1" && PROJECT_ROOT=$2 COMMAND_NAME=x
        for file in core nearest options menu gauge guide docker mlc choose image image_words create create_menu session; do source "$2/lib/$file.bash"; done; ls -A' \
        _ "${BATS_TEST_TMPDIR}/empty" "${ROOT}"
    [[ "${status}" -eq 0 && -z "${output}" && -z "${stderr}" ]]
}

@test "rules: every command has its launcher, its file and its tests" {
    local file name
    for file in "${ROOT}"/lib/commands/*.bash; do
        name="${file##*/}" name="${name%.bash}"
        [[ -x "${ROOT}/bin/${name}" ]] || { printf 'no launcher for %s\n' "${name}" && return 1; }
        [[ -s "${ROOT}/tests/bats/${name}.bats" ]] || { printf 'no tests for %s\n' "${name}" && return 1; }
    done
}

@test "rules: every Python helper is under test: by a test of its own, a command's, or of a module that uses it" {
    local known next file name missing=()
    # Named by a Python test, or started by a command, whose tests are in this folder.
    known="$(
        cat "${ROOT}"/tests/python/test_*.py "${ROOT}"/tests/bats/*.bats | grep -oE '[a-z_]+' | sort -u
        cat "${ROOT}"/lib/*.bash "${ROOT}"/lib/commands/*.bash | sed -nE 's/.*(core::(become_)?helper|image::governed) ([a-z_]+).*/\3/p'
    )"
    while true; do
        next="${known}"$'\n'"$(for name in ${known}; do
            [[ ! -f "${ROOT}/python/${name}.py" ]] \
                || sed -nE 's/^ *(from|import) ([a-z_]+).*/\2/p' "${ROOT}/python/${name}.py"
        done)"
        next="$(sort -u <<< "${next}")"
        [[ "${next}" != "${known}" ]] || break
        known="${next}"
    done
    for file in "${ROOT}"/python/*.py; do
        name="${file##*/}" name="${name%.py}"
        grep -qx "${name}" <<< "${known}" || missing+=("${name}")
    done
    printf 'without tests: %s\n' "${missing[@]}"
    ((${#missing[@]} == 0))
}
