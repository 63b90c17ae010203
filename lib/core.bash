# shellcheck shell=bash
# Exit codes, messages, help, word checks, helper calls, site hooks and clean-up: what every command stands on.
# shellcheck disable=SC2034 # the exit codes are for the other files
: "${PROJECT_ROOT:?set by lib/run-command}" "${COMMAND_NAME:?set by lib/run-command}"

# The table of docs/exit-codes.md; the same numbers stand in python/ds01/core/errors.py.
readonly EXIT_OK=0 EXIT_BUG=1 EXIT_USAGE=2 EXIT_NOT_FOUND=3 EXIT_REFUSED=4
readonly EXIT_NO_GPU=5 EXIT_CONFIG=6 EXIT_PREREQUISITE=7 EXIT_LEFT=130

CORE_QUIET=
CORE_TEMP=
CORE_ON_EXIT=
CORE_HOOK_JSON=
CORE_HOOKS_RAN=
CORE_HELPER_WORDS=()
# What our Python programs are started by: Ctrl-C waits until they have loaded and take it again. Python itself, while it
# starts, makes a crash of it.
readonly CORE_HOLD=(env --block-signal=INT)
# The words that the command was typed with, and those that the answers to its questions stand for.
CORE_GIVEN=("") CORE_ANSWERS=()
# The line that was read, and the pieces of the next one.
CORE_LINE='' CORE_PIECES=''

core::_say() { # <kind> <colour> <text>
    local name="${COMMAND_NAME}" text="${3//[[:cntrl:]]/?}"
    if [[ -t 2 && -z "${NO_COLOR:-}" ]]; then
        printf '%s: \e[%sm%s:\e[0m %s\n' "${name}" "$2" "$1" "${text}" >&2
    else
        printf '%s: %s: %s\n' "${name}" "$1" "${text}" >&2
    fi
}

# Say one fact; hidden by --quiet.
core::info() { # <text>
    [[ -n "${CORE_QUIET}" ]] || core::_say info 36 "$1"
}

# Hide what core::info says.
core::be_quiet() {
    CORE_QUIET=yes
}

# Warn of something that did not stop the command.
core::warn() { # <text>
    core::_say warning 33 "$1"
}

# Say what is wrong, without leaving.
core::error() { # <text>
    core::_say error 31 "$1"
}

# Say one next step that can be typed.
core::hint() { # <text>
    core::_say hint 36 "$1"
}

# Say what is wrong and, if given, the next step; leave with the status.
core::die() { # <status> <text> [<hint>]
    core::error "$2"
    [[ -z "${3:-}" ]] || core::hint "$3"
    exit "$1"
}

# Leave with the status for wrong words.
core::usage_error() { # <text>
    core::die "${EXIT_USAGE}" "$1" "run '${COMMAND_NAME} --help' to see its options"
}

# The launcher of this command, whose header comment is the help; install.sh is its own. Sets: the variable named.
core::launcher() { # <variable>
    local -n core_launcher="$1"
    core_launcher="${PROJECT_ROOT}/bin/${COMMAND_NAME}"
    [[ -e "${core_launcher}" ]] || core_launcher="${PROJECT_ROOT}/${COMMAND_NAME}"
}

# Print the header comment of this command's launcher as help, without the comment signs.
core::help() {
    local launcher line text=''
    core::launcher launcher
    while IFS= read -r line; do
        case "${line}" in
            '#!'*) ;;
            '# '*) text+="${line#\# }"$'\n' ;;
            '#') text+=$'\n' ;;
            *) break ;;
        esac
    done < "${launcher}"
    # At once: what cannot be written is told once.
    printf '%s' "${text}" 2> /dev/null \
        || core::die "${EXIT_PREREQUISITE}" "the help cannot be written" "run 'df -h .' to see if the disk is full"
}

# The summary in the header of a command's launcher, read without another process. Sets: the variable named.
core::summary() { # <variable> <command>
    local -n core_summary="$1"
    local line
    while IFS= read -r line; do
        [[ "${line}" != '# Summary: '* ]] || break
    done < "${PROJECT_ROOT}/bin/$2"
    # shellcheck disable=SC2034 # the caller's variable, by reference
    core_summary="${line#\# Summary: }"
}

# Leave because words are missing that nobody can be asked for.
core::missing() { # <words, comma separated>
    core::usage_error "missing $1"
}

# Join words. Prints: them with the separator between.
core::join() { # <separator> <word>...
    local separator="$1" joined="${2:-}" word
    for word in "${@:3}"; do
        joined+="${separator}${word}"
    done
    printf '%s\n' "${joined}"
}

# Wait some seconds for the next line from stdin; of a line that comes in pieces, what has come is kept for the next call.
# Sets: CORE_LINE. Returns: 0 with a line, over 128 if none is whole yet, 1 at the end.
core::read_within() { # <seconds>
    local piece='' status=0
    IFS= read -r -t "$1" piece || status=$?
    CORE_PIECES+="${piece}"
    ((status > 128)) || CORE_LINE="${CORE_PIECES}" CORE_PIECES=''
    return "${status}"
}

# A path with the person's own home in place of a `~`, as the shell does it where no option is before. Sets: the variable
# named.
core::expand_home() { # <variable> <path>
    local -n core_path="$1"
    # shellcheck disable=SC2034 # the caller's variable, by reference
    core_path="$2"
    # shellcheck disable=SC2088 # it is looked for
    [[ "$2" != '~' && "$2" != '~/'* ]] || core_path="${HOME}${2#\~}"
}

# Is there a person to ask? Dialogues need the keyboard and a screen.
core::is_interactive() {
    [[ -t 0 && -t 2 && "${TERM:-dumb}" != dumb ]]
}

# The words that run a Python helper in isolation from the caller's Python settings. Sets: CORE_HELPER_WORDS.
core::_set_helper_words() { # <job> [<word>...]
    local job="$1" python=python3
    shift
    [[ ! -x "${PROJECT_ROOT}/venv/bin/python3" ]] || python="${PROJECT_ROOT}/venv/bin/python3"
    CORE_HELPER_WORDS=("${CORE_HOLD[@]}" "${python}" -sE "${PROJECT_ROOT}/python/${job}.py" "$@")
}

# Run a Python helper. Prints: its JSON.
core::helper() { # <job> [<word>...]
    core::_set_helper_words "$@"
    "${CORE_HELPER_WORDS[@]}"
}

# Become a Python helper, so that signals reach it, unless something is to be done after it.
core::become_helper() { # <job> [<word>...]
    core::_set_helper_words "$@"
    [[ -n "${CORE_HOOKS_RAN}${CORE_ON_EXIT}${CORE_TEMP}" ]] || exec "${CORE_HELPER_WORDS[@]}"
    "${CORE_HELPER_WORDS[@]}"
}

# A string, number or truth value of an object that a helper printed; nothing for null, or where there is none. Only for
# names that occur once in the object. It is looked for in the text, because jq takes longer to start than a helper.
# Sets: the variable named.
core::member() { # <variable> <json> <name>
    local -n core_member="$1"
    local core_pattern="[{,]\"$3\":(\"(([^\"\\]|\\\\.)*)\"|[^],}\"[{]+)"
    core_member=''
    [[ "$2" =~ ${core_pattern} ]] || return 0
    if [[ "${BASH_REMATCH[1]}" == '"'* ]]; then
        printf -v core_member '%b' "${BASH_REMATCH[2]//\\\"/\\x22}"
    elif [[ "${BASH_REMATCH[1]}" != null ]]; then
        # shellcheck disable=SC2034 # the caller's variable, by reference
        core_member="${BASH_REMATCH[1]}"
    fi
}

# Is a member of such an object true?
core::is_true() { # <json> <name>
    local value
    core::member value "$@"
    [[ "${value}" == true ]]
}

# Run a Python helper with the gateway between it and the engine; a refusal is written to the file too.
core::governed_helper() { # <report-file> <job> [<word>...]
    local report="$1"
    shift
    core::_set_helper_words "$@"
    core::helper docker_gateway run --report "${report}" -- "${CORE_HELPER_WORDS[@]}"
}

# A folder for this run, removed when the command ends; those of runs that were killed go too. Sets: CORE_TEMP.
core::make_temp() {
    local base="${TMPDIR:-/tmp}" folder pid
    [[ -z "${CORE_TEMP}" ]] || return 0
    for folder in "${base}"/ds01-run.*; do
        pid="${folder#"${base}"/ds01-run.}" pid="${pid%%.*}"
        [[ ! -O "${folder}" || ! "${pid}" =~ ^[0-9]+$ || -d "/proc/${pid}" ]] || rm -rf -- "${folder}"
    done
    CORE_TEMP="$(mktemp -d "${base}/ds01-run.$$.XXXXXXXX")" \
        || core::die "${EXIT_PREREQUISITE}" "cannot make a temporary folder in '${base}'" \
            "free some space there, or set TMPDIR to another folder"
    trap core::_finish EXIT
}

# The folder of the configuration. Prints: its path.
core::config_dir() {
    if [[ -n "${DS01_ROOT:-}" ]]; then
        printf '%s\n' "${DS01_ROOT}/etc/ds01"
    elif [[ -e "${PROJECT_ROOT}/paths.json" ]]; then
        jq -r .etc "${PROJECT_ROOT}/paths.json"
    else
        printf '/etc/ds01\n'
    fi
}

# Run the site's executables <config>/hooks.d/<command>/pre-* with the words as JSON on stdin; a failing one stops the
# command. From then on the post-* ones run when the command ends, and learn its status.
core::run_pre_hooks() { # [<key> <value>]...
    local folder words=() hook
    # container-run may come here twice: for making the container, and for using it.
    [[ -z "${CORE_HOOKS_RAN}" ]] || return 0
    folder="$(core::config_dir)/hooks.d/${COMMAND_NAME}"
    [[ -d "${folder}" ]] || return 0
    [[ -r "${folder}" && -x "${folder}" ]] || core::die "${EXIT_CONFIG}" "the site's hooks in '${folder}' cannot be read" \
        "ask the administrator for 'chmod a+rx' on it"
    while (($# > 1)); do
        words+=(--arg "$1" "$2")
        shift 2
    done
    CORE_HOOK_JSON="$(jq -cn --arg command "${COMMAND_NAME}" --arg user "$(id -un 2> /dev/null || id -u)" \
        --argjson uid "${UID}" "${words[@]}" '$ARGS.named')"
    trap core::_finish EXIT
    for hook in "${folder}"/pre-*; do
        [[ -f "${hook}" ]] || continue
        # A hook may be there to refuse: one that cannot be run must not be passed by.
        [[ -x "${hook}" ]] || core::die "${EXIT_CONFIG}" "the site hook '${hook}' cannot be run by you" \
            "ask the administrator for 'chmod a+rx' on it"
        "${hook}" <<< "${CORE_HOOK_JSON}" >&2 \
            || core::die "${EXIT_REFUSED}" "the site hook '${hook##*/}' refused with status $?"
    done
    CORE_HOOKS_RAN=1
}

# Run at the end of a command: its clean-up, the site's post hooks, the temporary folder.
core::_finish() {
    local status=$? hook
    trap '' INT TERM HUP
    if [[ -n "${CORE_ON_EXIT}" ]]; then
        "${CORE_ON_EXIT}" || true
    fi
    if [[ -n "${CORE_HOOKS_RAN}" ]]; then
        for hook in "$(core::config_dir)/hooks.d/${COMMAND_NAME}"/post-*; do
            [[ -f "${hook}" && -x "${hook}" ]] || continue
            jq -c --argjson status "${status}" '. + {status: $status}' <<< "${CORE_HOOK_JSON}" | "${hook}" >&2 \
                || core::warn "the site hook '${hook##*/}' failed"
        done
    fi
    [[ -z "${CORE_TEMP}" ]] || rm -rf -- "${CORE_TEMP}"
    exit "${status}"
}

# Have a function called when the command ends, however it ends short of kill -9.
core::on_exit() { # <function>
    CORE_ON_EXIT="$1"
    trap core::_finish EXIT
}

# Print words so that they can be typed again.
core::print_words() { # <word>...
    local words
    printf -v words '%q ' "$@"
    printf '%s\n' "${words% }"
}

# Say how the same is done without questions, so that people learn it.
core::same_in_words() { # <word>...
    local words
    words="$(core::print_words "$@")"
    core::info "the same in one line: ${words}"
}

# Note the words that say the same as what a person answered.
core::answered() { # <word>...
    CORE_ANSWERS+=("$@")
}

# Say how the same is done without questions, if something was asked.
core::tell_line() {
    local given=("${CORE_GIVEN[@]}") i
    ((${#CORE_ANSWERS[@]} > 0)) || return 0
    # An answer may stand for an option, which behind a `--` would be a name.
    for ((i = 0; i < ${#given[@]}; i++)); do
        [[ "${given[i]}" == -- ]] || continue
        [[ " ${given[*]:i+1}" == *' -'* ]] || unset 'given[i]'
        break
    done
    core::same_in_words "${COMMAND_NAME}" "${given[@]}" "${CORE_ANSWERS[@]}"
}

# Show what a helper prints anew every two seconds, until Ctrl-C.
core::watch() { # <job> [<word>...]
    local text columns
    trap 'exit 130' INT
    while true; do
        # Of the terminal that it is for, which the helper does not see; 0 where there is none.
        read -r _ columns < <(stty size <&1 2> /dev/null) || columns=0
        text="$(DS01_COLUMNS="${columns}" core::helper "$@")" || exit
        # Home the cursor and clear what is below, only where there is a screen.
        [[ ! -t 1 ]] || printf '\e[H\e[J'
        printf '%s\n' "${text}"
        sleep 2
    done
}
