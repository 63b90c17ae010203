# shellcheck shell=bash
# The steps of tests/run: each checker and each suite, counted.
: "${root:?set by tests/run}" "${fast=}" "${filter=}" "${bench_left=0}" "${bench_dir=}"

steps_passed=0
steps_failed=0
steps_lines=()
# What a suite is run by, see steps::on_own_terminals.
steps_before=()

# Add a suite's figures to the sum.
steps::count() { # <suite> <passed> <failed> [<remark>]
    steps_passed=$((steps_passed + $2))
    steps_failed=$((steps_failed + $3))
    steps_lines+=("$(printf '%-14s %5d passed %5d failed%s' "$1" "$2" "$3" "${4:+, $4}")")
}

# Run a checker; its output is shown only if it fails.
steps::check() { # <name> <command> [<word>...]
    local name="$1" output status=0
    shift
    output="$("$@" 2>&1)" || status=$?
    if ((status == 0)); then
        printf 'ok   %s\n' "${name}"
        lint_passed=$((lint_passed + 1))
    else
        printf 'FAIL %s\n%s\n' "${name}" "${output}"
        lint_failed=$((lint_failed + 1))
    fi
}

# Files of the project, without what is generated. Prints: their names, NUL-terminated.
steps::files() {
    find . \( -name venv -o -name .git -o -name '.*_cache' -o -name __pycache__ -o -name .hypothesis \) -prune \
        -o -type f -print0
}

# Files whose first line or name says that a shell runs them. Sets: shell_files, posix_files.
steps::find_shell_files() {
    local file first
    shell_files=()
    posix_files=()
    while IFS= read -r -d '' file; do
        case "${file}" in
            *.bash | *.bats | *.sh) shell_files+=("${file}") ;;
            *.*/* | */*.*)
                [[ "${file}" == ./.ci/* ]] || continue
                shell_files+=("${file}")
                ;;
            *)
                first=
                IFS= read -r first < "${file}" 2> /dev/null || true
                case "${first}" in
                    '#!/bin/sh'*)
                        shell_files+=("${file}")
                        posix_files+=("${file}")
                        ;;
                    '#!'*bash*) shell_files+=("${file}") ;;
                    *) ;;
                esac
                ;;
        esac
    done < <(steps::files)
}

steps::shellcheck() { # <file>...
    local file plain=() bats=()
    for file in "$@"; do
        case "${file}" in
            */tests/bats/*) bats+=("${file}") ;;
            *) plain+=("${file}") ;;
        esac
    done
    printf '%s\0' "${plain[@]}" | xargs -0 -n 6 -P "$(nproc)" shellcheck --format=gcc || return
    # Not seen by shellcheck: what `load` and bats itself set (SC2034, SC2154), that each test is a subshell by design
    # (SC2030, SC2031) that ends at a failing cd (SC2164), and that some texts are for a shell elsewhere (SC2016).
    printf '%s\0' "${bats[@]}" | xargs -0 -n 6 -P "$(nproc)" shellcheck --format=gcc \
        --exclude=SC2034,SC2154,SC2030,SC2031,SC2164,SC2016
}

steps::dash() { # <file>...
    local file
    for file in "$@"; do
        dash -n "${file}" || return 1
    done
}

# Begin the lint of everything, in the background. Sets: steps_lint.
steps::begin_lint() {
    # With job control, as for the suites.
    set -m
    steps::_lint > "${bench_dir}/checkers.out" 2>&1 &
    steps_lint=$!
    set +m
}

# Wait for it, show what it said, and count; a run that broke off counts as failed.
steps::end_lint() {
    local passed=0 failed=1
    wait "${steps_lint}" || true
    cat -- "${bench_dir}/checkers.out"
    [[ ! -s "${bench_dir}/checkers.count" ]] || read -r passed failed < "${bench_dir}/checkers.count"
    steps::count checkers "${passed}" "${failed}"
}

steps::_lint() {
    local lint_passed=0 lint_failed=0 shell_files posix_files python_files
    printf '\n== checkers ==\n'
    steps::find_shell_files
    python_files=(python aime-ml-containers tests/python tests/bench)
    # Bats files hold a syntax of their own, which shfmt knows and dash does not need to.
    steps::check shellcheck steps::shellcheck "${shell_files[@]}"
    steps::check 'dash -n' steps::dash "${posix_files[@]}"
    steps::check shfmt shfmt -d -i 4 -ci -sr -bn "${shell_files[@]}"
    steps::check 'ruff check' ruff check --no-cache . tests/engine/users
    steps::check 'ruff format' ruff format --no-cache --check . tests/engine/users
    mapfile -t python_files < <(find "${python_files[@]}" -name '*.py' | sort)
    steps::check 'mypy --strict' mypy --strict "${python_files[@]}"
    steps::check 'mypy --strict tests/engine/users' mypy --strict --scripts-are-modules tests/engine/users
    steps::check lint-imports env PYTHONPATH=python lint-imports --no-cache --no-logo
    printf '%s %s\n' "${lint_passed}" "${lint_failed}" > "${bench_dir}/checkers.count"
}

# The tests of the commands, by files, largest first, in two halves that run at once; beside them the dialogues, which
# mostly wait for a terminal; and those that run lifecycle passes, which have terminals of their own. Sets: bats_one, bats_two, bats_dialogues, bats_passes.
steps::find_bats() {
    local size file one=0 two=0
    bats_one=()
    bats_two=()
    bats_dialogues=()
    bats_passes=()
    while read -r size file; do
        if grep -q 'BIN}/ds01-lifecycle' "${file}"; then
            bats_passes+=("${file}")
        elif [[ "${file##*/}" == dialogues-* ]]; then
            bats_dialogues+=("${file}")
        elif ((one <= two)); then
            bats_one+=("${file}")
            one=$((one + size))
        else
            bats_two+=("${file}")
            two=$((two + size))
        fi
    done < <(find tests/bats -name '*.bats' -printf '%s %p\n' | sort -rn)
}

# Run tests of the commands. Writes: the log and the status that steps::count_bats reads.
steps::run_bats() { # <name> <file>...
    local name="$1" words status=0
    words=(--formatter tap --timing --print-output-on-failure --tempdir "${bench_dir}/$1/run")
    shift
    printf '\n== %s ==\n' "${name}"
    mkdir -p -- "${bench_dir}/${name}"
    [[ -z "${fast}" ]] || words+=(--filter-tags '!engine')
    [[ -z "${filter}" ]] || words+=(--filter "${filter}")
    "${steps_before[@]}" bats "${words[@]}" "$@" < /dev/null 2>&1 | tee "${bench_dir}/${name}.log" || status=$?
    printf '%s\n' "${status}" > "${bench_dir}/${name}.status"
}

# Count what they gave; a run that broke off counts as failed.
steps::count_bats() { # <name>
    local log="${bench_dir}/$1.log" status passed failed skipped
    status="$(cat "${bench_dir}/$1.status" 2> /dev/null || printf 1)"
    skipped="$(grep -c '^ok [0-9].*# skip' "${log}" || true)"
    passed="$(grep -c '^ok [0-9]' "${log}" || true)"
    failed="$(grep -c '^not ok [0-9]' "${log}" || true)"
    passed=$((passed - skipped))
    ((status == 0 || failed > 0)) || failed=1
    ((passed + failed > 0)) || [[ -n "${filter}" ]] || failed=1
    steps::count "$1" "${passed}" "${failed}" "${skipped} skipped"
}

# Run tests of the helpers. Writes: the report and the status that steps::count_pytest reads.
steps::run_pytest() { # <name> <marks>
    local status=0 words report="${bench_dir}/$1"
    words=(--basetemp "${report}" -o "cache_dir=${report}-cache" --junitxml "${report}.xml" --durations 5 -m "$2")
    # Without an engine nothing is shared; the load tests are spread over both cores.
    [[ -z "${fast}" ]] || words+=(--numprocesses 2 --dist loadfile)
    # bats takes a regular expression, pytest words: what only bats understands selects none of its tests.
    [[ -z "${filter}" ]] || words+=(-k "${filter//[^[:alnum:]_]/_}")
    printf '\n== %s ==\n' "$1"
    "${steps_before[@]}" python3 -m pytest "${words[@]}" < /dev/null || status=$?
    printf '%s\n' "${status}" > "${report}.status"
}

# Count what they gave; a run that broke off counts as failed.
steps::count_pytest() { # <name>
    local line name figures=() status report="${bench_dir}/$1"
    status="$(cat "${report}.status" 2> /dev/null || printf 1)"
    line="$(grep -o '<testsuite [^>]*>' "${report}.xml" 2> /dev/null | head -n 1 || true)"
    for name in tests skipped errors failures; do
        figures+=("$(sed -n "s/.* ${name}=\"\([0-9]*\)\".*/\1/p" <<< "${line}" | grep . || printf 0)")
    done
    local skipped="${figures[1]}" bad=$((figures[2] + figures[3]))
    local passed=$((figures[0] - skipped - bad))
    # pytest ends with 5 where it found no test.
    if ((status != 0 && bad == 0)) && [[ -z "${filter}" || "${status}" != 5 ]]; then
        bad=1
    fi
    steps::count "$1" "${passed}" "${bad}" "${skipped} skipped"
}

# The tests of the helpers, those without an engine first.
steps::all_pytest() {
    steps::run_pytest pytest 'not engine and not passes'
    [[ -z "${fast}" ]] || return 0
    steps::run_pytest pytest-engine 'engine and not passes'
    steps::on_own_terminals steps::run_pytest pytest-passes 'passes and not quiet'
}

# Run a suite where there are no terminals but its own: lifecycle passes write to all that a person has, and other tests
# look at theirs.
steps::on_own_terminals() { # <function> <word>...
    # shellcheck disable=SC2016 # the inner shell expands it
    local steps_before=(unshare --mount --propagation slave -- sh -ec
        'mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts /dev/pts
        mount --bind /dev/pts/ptmx /dev/ptmx
        exec "$@"' sh)
    "$@"
}

# Run a function with more in the environment.
steps::with() { # <array-name> <function> <word>...
    local -n steps_environment="$1"
    ((${#steps_environment[@]} == 0)) || export "${steps_environment[@]}"
    "${@:2}"
}

# All suites, those beside each other with an engine each; they share nothing else. The output comes one after the other.
steps::suites() {
    local ids=() bats_one bats_two bats_dialogues bats_passes
    steps::find_bats
    # With job control, because a background job without it would ignore Ctrl-C, and so would what the tests start.
    set -m
    if [[ -z "${filter}" ]]; then
        steps::with bench_helpers steps::all_pytest > "${bench_dir}/pytest.out" 2>&1 &
        ids+=($!)
        steps::with bench_other steps::run_bats bats-two "${bats_two[@]}" > "${bench_dir}/bats-two.out" 2>&1 &
        ids+=($!)
    fi
    if [[ -z "${filter}${fast}" ]]; then
        # All of them need an engine.
        steps::with bench_dialogues steps::run_bats bats-dialogues "${bats_dialogues[@]}" \
            > "${bench_dir}/bats-dialogues.out" 2>&1 &
        ids+=($!)
    fi
    set +m
    steps::run_bats bats-one "${bats_one[@]}"
    [[ -n "${fast}" ]] || steps::on_own_terminals steps::run_bats bats-passes "${bats_passes[@]}"
    if [[ -n "${filter}" ]]; then
        steps::run_bats bats-two "${bats_two[@]}"
        steps::run_bats bats-dialogues "${bats_dialogues[@]}"
        steps::all_pytest
    else
        wait "${ids[@]}" || true
        cat -- "${bench_dir}/bats-two.out"
        [[ -n "${fast}" ]] || cat -- "${bench_dir}/bats-dialogues.out"
        cat -- "${bench_dir}/pytest.out"
    fi
    if [[ -n "${fast}" ]]; then
        # Who is not root cannot have terminals of their own, so these come last.
        steps::run_bats bats-passes "${bats_passes[@]}"
        steps::run_pytest pytest-passes 'passes and not engine'
    else
        # What counts on passes that come in time, once nothing else runs.
        steps::run_pytest pytest-quiet quiet
    fi
    steps::count_bats bats-one
    steps::count_bats bats-two
    steps::count_bats bats-passes
    steps::count_pytest pytest
    steps::count_pytest pytest-passes
    [[ -n "${fast}" ]] || {
        steps::count_bats bats-dialogues
        steps::count_pytest pytest-engine
        steps::count_pytest pytest-quiet
    }
}

# One line for each suite, then the sum; leaves with the verdict.
steps::summary() {
    local line
    printf '\n== summary ==\n'
    if ((bench_left > 0)); then
        steps::count bench 0 "${bench_left}" 'left behind, see above'
    fi
    ((steps_passed + steps_failed > 0)) || steps::count bench 0 1 'no test matched'
    for line in "${steps_lines[@]}"; do
        printf '%s\n' "${line}"
    done
    printf '%d passed, %d failed\n' "${steps_passed}" "${steps_failed}"
    ((steps_failed == 0)) || exit 1
}
