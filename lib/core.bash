# shellcheck shell=bash
# Exit codes, messages, help, word checks, helper calls, site hooks and clean-up: what every command stands on.
: "${PROJECT_ROOT:?set by lib/run-command}" "${COMMAND_NAME:?set by lib/run-command}"

# The table of docs/exit-codes.md; the same numbers stand in python/_common.py.
readonly EXIT_OK=0 EXIT_BUG=1 EXIT_USAGE=2 EXIT_NOT_FOUND=3 EXIT_REFUSED=4
readonly EXIT_NO_GPU=5 EXIT_CONFIG=6 EXIT_PREREQUISITE=7 EXIT_LEFT=130

CORE_QUIET=
CORE_TEMP=

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

# The launcher of a command, whose header comment is the help.
core::launcher() { # [<command>]
    printf '%s/bin/%s\n' "${PROJECT_ROOT}" "${1:-${COMMAND_NAME}}"
}

# Print the header comment of this command's launcher as help.
core::help() {
    local launcher
    launcher="$(core::launcher)"
    core::header "${launcher}"
}

# Print a launcher's header comment, without the comment signs.
core::header() { # <file>
    local line
    while IFS= read -r line; do
        case "${line}" in
            '#!'*) ;;
            '# '*) printf '%s\n' "${line#\# }" ;;
            '#') printf '\n' ;;
            *) return 0 ;;
        esac
    done < "$1"
}

# Print the one-line summary in a launcher's header.
core::summary() { # <file>
    local line
    while IFS= read -r line; do
        if [[ "${line}" == '# Summary: '* ]]; then
            printf '%s\n' "${line#\# Summary: }"
            return 0
        fi
    done < "$1"
}

# Check that an option has its value; an empty value counts as none.
core::need_value() { # <option> <number-of-words-left> [<value>]
    if (($2 < 2)) || [[ -z "${3:-}" ]]; then
        core::usage_error "option '$1' needs a value"
    fi
}

# Leave because the command does not know this option.
core::unknown_option() { # <option>
    core::usage_error "unknown option '$1'"
}

# Leave because words are missing that nobody can be asked for.
core::missing() { # <words, comma separated>
    core::usage_error "missing $1"
}

# Is there a person to ask? Dialogues need the keyboard and a screen.
core::is_interactive() {
    [[ -t 0 && -t 2 && "${TERM:-dumb}" != dumb ]]
}

# Run a Python helper in isolation from the caller's Python settings. Prints: its JSON.
core::helper() { # <job> [<word>...]
    local job="$1" python=python3
    shift
    [[ ! -x "${PROJECT_ROOT}/venv/bin/python3" ]] || python="${PROJECT_ROOT}/venv/bin/python3"
    "${python}" -sE "${PROJECT_ROOT}/python/${job}.py" "$@"
}

# Replace this process by a Python helper, so that signals and the status are its own.
core::exec_helper() { # <job> [<word>...]
    local job="$1" python=python3
    shift
    [[ ! -x "${PROJECT_ROOT}/venv/bin/python3" ]] || python="${PROJECT_ROOT}/venv/bin/python3"
    exec "${python}" -sE "${PROJECT_ROOT}/python/${job}.py" "$@"
}

# A folder for this run, removed when the command ends. Sets: CORE_TEMP.
core::make_temp() {
    [[ -z "${CORE_TEMP}" ]] || return 0
    CORE_TEMP="$(mktemp -d "${TMPDIR:-/tmp}/ds01.XXXXXXXX")" \
        || core::die "${EXIT_PREREQUISITE}" "cannot make a temporary folder in '${TMPDIR:-/tmp}'"
    trap 'rm -rf -- "${CORE_TEMP}"' EXIT
}
