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

python_files() {
    find "${ROOT}/python" -name '*.py'
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
    mapfile -t files < <(shell_files && printf '%s\n' "${ROOT}/install.sh" && python_files)
    # Words in single quotes within a message that begin with a command or an option.
    none "a hint can be typed as it stands" \
        "$(offenders "\"([^\"]*[ (])?'(--)?[a-z][^'\"]*([ =/,][A-Z]{2,}([^A-Za-z0-9_=]|$)|…|<[a-z]+>)" "${files[@]}")"
}

@test "rules: nothing parses ls" {
    mapfile -t files < <(shell_files)
    none "names may hold anything" "$(offenders 'in +\$\(ls[ )]' "${files[@]}")"
}

@test "rules: only the room records writes below the state and log folders" {
    # Anchored at the calls that open for writing; core/files.py is the one module that does for it.
    local pattern files
    mapfile -t files < <(python_files)
    pattern='\.write_text\(|\.write_bytes\(|os\.replace\(|open\([^)]*["'\''][wa]'
    run bash -c 'grep -HE "$1" "${@:2}" | grep -vF "documents.write_text(" | cut -d: -f1 | sort -u' \
        _ "${pattern}" "${files[@]}"
    ((${#lines[@]} > 3))
    local file
    for file in "${lines[@]}"; do
        case "${file#"${ROOT}"/python/}" in
            ds01/core/files.py | ds01/records/event_log.py) ;; # what the room records writes with
            ds01/help/pages.py) ;;                             # the pages about the commands
            ds01/images/shelf/catalog.py) ;;                   # the overlay, in a temporary folder
            ds01/images/source/project.py) ;;                  # a project's folder
            ds01/gateway/command.py) ;;                        # the report that its caller asked for
            ds01/images/source/folder.py) ;;                   # an image's folder, which is a person's
            # A build's temporary folder and log.
            ds01/images/build/stage.py | ds01/images/build/docker.py | ds01/images/versions/workshop.py) ;;
            ds01/images/versions/probe.py) ;;                  # the user's cache of what a base has
            ds01/show/report.py | ds01/lifecycle/making.py) ;; # what their caller asked for
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
        grep -qE "^    ${name} = ${code}$" "${ROOT}/python/ds01/core/errors.py"
    done < "${ROOT}/docs/exit-codes.md"
    [[ "${rows}" -eq "$(grep -cE '^    [A-Z_]+ = [0-9]+$' "${ROOT}/python/ds01/core/errors.py")" ]]
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
