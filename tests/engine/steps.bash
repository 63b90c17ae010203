# shellcheck shell=bash
# The steps of tests/run: each checker and each suite, counted.
: "${root:?set by tests/run}" "${fast=}" "${filter=}" "${bench_left=0}" "${bench_dir=}" "${bench_engines[@]?}"

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

# Look over everything. Writes: what was found, and the figures for steps::end_helpers.
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

# The bats files by what they need. Sets: bats_files; bats_dialogues, whose screens show all that the engine has;
# bats_passes, which run lifecycle passes and have terminals of their own.
steps::find_bats() {
    local file
    bats_files=()
    bats_dialogues=()
    bats_passes=()
    while read -r _ file; do
        if grep -q 'BIN}/ds01-lifecycle' "${file}"; then
            bats_passes+=("${file}")
        elif [[ "${file##*/}" == dialogues-* ]]; then
            bats_dialogues+=("${file}")
        else
            bats_files+=("${file}")
        fi
    done < <(find tests/bats -name '*.bats' -printf '%s %p\n' | sort -rn)
}

# Run tests of the commands. Writes: the log and the status that steps::count_suite reads.
steps::run_bats() { # <suite> <job> <file>...
    local folder="${bench_dir}/$2" suite="$1" words status=0
    words=(--formatter tap --timing --print-output-on-failure --tempdir "${folder}/run")
    shift 2
    mkdir -p -- "${folder}"
    [[ -z "${fast}" ]] || words+=(--filter-tags '!engine')
    [[ -z "${filter}" ]] || words+=(--filter "${filter}")
    "${steps_before[@]}" bats "${words[@]}" "$@" < /dev/null 2>&1 | tee "${folder}/${suite}.tap" || status=$?
    printf '%s\n' "${status}" > "${folder}/${suite}.status"
}

# Run tests of the helpers. Writes: the report and the status that steps::count_suite reads.
steps::run_pytest() { # <suite> <job> <marks> [<file>...]
    local folder="${bench_dir}/$2" suite="$1" status=0 words
    words=(--basetemp "${folder}/temp" -o "cache_dir=${folder}/cache" --junitxml "${folder}/${suite}.xml"
        --durations 5 -m "$3")
    shift 3
    mkdir -p -- "${folder}"
    # Where nothing else runs, both cores are free.
    [[ -z "${fast}" && "${suite}" != alone ]] || words+=(--numprocesses 2 --dist worksteal)
    # bats takes a regular expression, pytest words: what only bats understands selects none of its tests.
    [[ -z "${filter}" ]] || words+=(-k "${filter//[^[:alnum:]_]/_}")
    "${steps_before[@]}" python3 -m pytest "${words[@]}" "$@" < /dev/null || status=$?
    # pytest ends with 5 where it found no test, which may be where there is a filter.
    [[ -z "${filter}" || "${status}" != 5 ]] || status=0
    printf '%s\n' "${status}" > "${folder}/${suite}.status"
}

# Count what the jobs of a suite gave; one that broke off, or whose tests are none, counts as failed.
steps::count_suite() { # <suite>
    local file status passed=0 failed=0 skipped=0 figures name line bad
    for file in "${bench_dir}"/*/"$1.status"; do
        status="$(cat -- "${file}" 2> /dev/null || printf 1)"
        figures=(0 0 0 0)
        if [[ -e "${file%.status}.xml" ]]; then
            line="$(grep -o '<testsuite [^>]*>' "${file%.status}.xml" | head -n 1 || true)"
            figures=()
            for name in tests skipped errors failures; do
                figures+=("$(sed -n "s/.* ${name}=\"\([0-9]*\)\".*/\1/p" <<< "${line}" | grep . || printf 0)")
            done
        elif [[ -e "${file%.status}.tap" ]]; then
            figures[1]="$(grep -c '^ok [0-9].*# skip' "${file%.status}.tap" || true)"
            figures[3]="$(grep -c '^not ok [0-9]' "${file%.status}.tap" || true)"
            figures[0]="$(grep -cE '^(not )?ok [0-9]' "${file%.status}.tap" || true)"
        fi
        bad=$((figures[2] + figures[3]))
        ((status == 0 || bad > 0)) || bad=1
        skipped=$((skipped + figures[1]))
        failed=$((failed + bad))
        passed=$((passed + figures[0] - figures[1] - figures[2] - figures[3]))
    done
    ((passed + failed > 0)) || [[ -n "${filter}" ]] || failed=1
    ((passed >= 0)) || passed=0
    steps::count "$1" "${passed}" "${failed}" "${skipped} skipped"
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

# Begin what needs no engine, in the background: the engines wait for packages to come and be unpacked meanwhile, and
# later for their containers. Sets: steps_helpers.
steps::begin_helpers() {
    # With job control, because a background job without it would ignore Ctrl-C, and so would what the tests start.
    set -m
    steps::_helpers &
    steps_helpers=$!
    set +m
}

steps::_helpers() {
    steps::_lint > "${bench_dir}/checkers.out" 2>&1
    steps::run_pytest pytest pytest 'not engine and not passes and not alone' > "${bench_dir}/pytest.out" 2>&1
}

# Wait for it, show what it said, and count; a run that broke off counts as failed.
steps::end_helpers() {
    local passed=0 failed=1
    wait "${steps_helpers}" || true
    cat -- "${bench_dir}/checkers.out"
    [[ ! -s "${bench_dir}/checkers.count" ]] || read -r passed failed < "${bench_dir}/checkers.count"
    steps::count checkers "${passed}" "${failed}"
    printf '\n== pytest ==\n'
    cat -- "${bench_dir}/pytest.out"
}

# What needs an engine, in jobs that the engines take in turn, the longest first. Writes: one in a line, as
# `<job> <suite> <word>...`.
steps::plan() {
    local file name
    for file in "${bats_dialogues[@]}"; do
        printf '%s bats-dialogues %s\n' "$(basename -- "${file}" .bats)" "${file}"
    done
    # By folder, because each start costs seconds.
    printf '%s\n' 'pytest-images pytest-engine tests/python/images' \
        "pytest-mlc pytest-engine $(printf '%s ' tests/python/test_mlc*.py)" 'pytest-gateway pytest-engine tests/python/gateway' \
        'bats-install bats tests/bats/install.bats' 'pytest-cron pytest-passes tests/python/lifecycle/test_lifecycle_cron.py' \
        'pytest-gpus pytest-engine tests/python/gpus' \
        "pytest-passes pytest-passes $(find tests/python/lifecycle -name 'test_*.py' ! -name test_lifecycle_cron.py | sort | tr '\n' ' ')" \
        "pytest-others pytest-engine $(find tests/python -mindepth 1 -maxdepth 1 ! -name __pycache__ \
            \( -type d ! -name images ! -name gateway ! -name gpus -o -name 'test_*.py' ! -name 'test_mlc*' \) | sort | tr '\n' ' ')"
    # They share one image of their own, built once in a run of bats.
    printf 'bats-images bats %s\n' "$(grep -lw demo_image "${bats_files[@]}" | tr '\n' ' ')"
    for file in "${bats_files[@]}"; do
        name="$(basename -- "${file}" .bats)"
        [[ "${name}" == install ]] || grep -qw demo_image "${file}" || printf 'bats-%s bats %s\n' "${name}" "${file}"
    done
    printf 'bats-passes bats-passes %s\n' "${bats_passes[*]}"
}

# Run one job on the engine at DOCKER_HOST. Writes: what it said.
steps::run_job() { # <job> <suite> <word>...
    local job="$1" suite="$2"
    shift 2
    case "${suite}" in
        bats) steps::run_bats bats "${job}" "$@" ;;
        bats-dialogues)
            steps::clean_engine
            steps::run_bats bats-dialogues "${job}" "$@"
            ;;
        bats-passes) steps::on_own_terminals steps::run_bats bats-passes "${job}" "$@" ;;
        pytest-engine) steps::run_pytest pytest-engine "${job}" 'engine and not passes' "$@" ;;
        pytest-passes) steps::on_own_terminals steps::run_pytest pytest-passes "${job}" passes "$@" ;;
        *) bench::die 1 "no suite '${suite}'" ;;
    esac
    [[ "${suite}" == bats ]] || steps::clean_engine
}

# Remove all images but the base, so that the next job does not see what another built.
steps::clean_engine() {
    local found
    mapfile -t found < <(docker ps --all --quiet)
    ((${#found[@]} == 0)) || docker rm --force --volumes "${found[@]}" > /dev/null 2>&1 || true
    mapfile -t found < <(docker images --format '{{.Repository}}:{{.Tag}}' | grep -vxF -e ds01/debian:bookworm -e '<none>:<none>' || true)
    ((${#found[@]} == 0)) || docker rmi --force "${found[@]}" > /dev/null 2>&1 || true
    docker system prune --force --volumes > /dev/null 2>&1 || true
}

# Take jobs until there are none. Writes: for each a file of what it said.
steps::work() { # <engine>
    local job words begun
    while job="$(steps::take)" && [[ -n "${job}" ]]; do
        read -ra words <<< "${job}"
        begun="${SECONDS}"
        {
            printf '\n== %s ==\n' "${words[0]}"
            steps::run_job "${words[@]}"
            printf '%s: %d s on engine %s\n' "${words[0]}" "$((SECONDS - begun))" "$1"
        } > "${bench_dir}/${words[0]}.said" 2>&1
        cat -- "${bench_dir}/${words[0]}.said"
    done
}

# The next job, for one who asks only. Prints: it, or nothing.
steps::take() {
    local lock
    exec {lock}> "${bench_dir}/jobs.lock"
    flock "${lock}"
    head -n 1 -- "${bench_dir}/jobs"
    sed -i 1d -- "${bench_dir}/jobs"
    exec {lock}>&-
}

# All suites. The engines share nothing, so that their jobs run at once.
steps::suites() {
    local name ids=() environment=() planned=() job words
    steps::find_bats
    if [[ -n "${fast}" ]]; then
        steps::run_bats bats bats "${bats_files[@]}"
        [[ -z "${filter}" ]] || steps::run_pytest pytest pytest 'not engine and not passes'
        # Who is not root cannot have terminals of their own, so these come last.
        steps::run_bats bats-passes bats-passes "${bats_passes[@]}"
        [[ -n "${filter}" ]] || steps::end_helpers
        steps::run_pytest pytest-passes pytest-passes 'passes and not engine'
    elif [[ -n "${filter}" ]]; then
        steps::run_bats bats bats "${bats_files[@]}" "${bats_dialogues[@]}"
        steps::run_pytest pytest pytest 'not passes'
        steps::on_own_terminals steps::run_bats bats-passes bats-passes "${bats_passes[@]}"
        steps::on_own_terminals steps::run_pytest pytest-passes pytest-passes passes
    else
        steps::plan > "${bench_dir}/jobs"
        mapfile -t planned < "${bench_dir}/jobs"
        set -m
        for name in "${bench_engines[@]}"; do
            mapfile -t environment < "${bench_dir}/${name}.environment"
            (export "${environment[@]}" && steps::work "${name}") &
            ids+=($!)
        done
        set +m
        wait "${ids[@]}" || true
        steps::end_helpers
        # Each job has come to its end.
        for job in "${planned[@]}"; do
            read -ra words <<< "${job}"
            [[ -e "${bench_dir}/${words[0]}/${words[1]}.status" ]] || steps::count "${words[0]}" 0 1 'broke off'
        done
    fi
    # Once nothing else runs: those that load the machine.
    [[ -n "${filter}" ]] || steps::run_pytest alone alone alone
    steps::count_suite bats
    steps::count_suite bats-passes
    steps::count_suite pytest
    steps::count_suite pytest-passes
    [[ -n "${filter}" ]] || steps::count_suite alone
    [[ -n "${fast}${filter}" ]] || {
        steps::count_suite bats-dialogues
        steps::count_suite pytest-engine
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
