# shellcheck shell=bash
# The words of a command line, read as the header of the command's launcher describes them: which options there are and
# how else they are written, which have a value, which may be repeated, and how many other words there may be.
# shellcheck disable=SC2034 # what was read is for the commands
: "${PROJECT_ROOT:?set by lib/run-command}" "${COMMAND_NAME:?set by lib/run-command}" \
    "${EXIT_BUG:?}" "${EXIT_OK:?}" "${EXIT_USAGE:?}"

# What each option was given, by its long name with '_' for '-': its last value, `yes` where it has none, nothing where it
# was not given. A value that may be left out, as in '--wait[=DURATION]', is apart, as wait_value.
declare -A OPTIONS=([help]='')
# The options in the order in which they were given, by their long names: '--json', '--gpus=1'.
OPTIONS_GIVEN=("")
# The words that are no options, how many words were typed up to the first of them, and, where the usage has
# '[-- COMMAND...]', the words behind the dashes.
OPTIONS_WORDS=("") OPTIONS_WORD_AT=0 OPTIONS_COMMAND=("")
# The function that leaves because of an option that is like none, or of a word too many.
OPTIONS_REFUSE=core::usage_error

# What the header says. The names of the options, in its order; the long name of each short one; what stands behind a long
# one.
OPTIONS_NAMES=()
declare -A OPTIONS_LONG=() OPTIONS_TEXT=()
# How many other words there may be, -1 for any number; whether '-' is one of them, and whether a command comes after '--'.
OPTIONS_MOST=0 OPTIONS_HAS_FILE='' OPTIONS_HAS_COMMAND=''

# Read the words of this command; the options that all have in common do here what they do. Leaves with the help, or
# because of a word that the header does not allow. Sets: OPTIONS and the variables that stand beside it.
options::parse() { # [<word>...]
    local count=$# taken
    OPTIONS_GIVEN=() OPTIONS_WORDS=() OPTIONS_COMMAND=()
    options::read_header
    while (($# > 0)); do
        taken=1
        if [[ "$1" == -- && OPTIONS_MOST -ne 0 ]]; then
            shift
            if [[ -n "${OPTIONS_HAS_COMMAND}" ]]; then OPTIONS_COMMAND=("$@"); else OPTIONS_WORDS+=("$@"); fi
            break
        elif [[ "$1" == -?* || ("$1" == - && -z "${OPTIONS_HAS_FILE}") ]]; then
            options::_take "$@"
        else
            ((OPTIONS_MOST != 0)) || core::usage_error "unexpected word '$1'"
            ((${#OPTIONS_WORDS[@]} > 0)) || OPTIONS_WORD_AT=$((count - $# + 1))
            OPTIONS_WORDS+=("$1")
        fi
        shift "${taken}"
    done
    ((OPTIONS_MOST < 0 || ${#OPTIONS_WORDS[@]} <= OPTIONS_MOST)) \
        || "${OPTIONS_REFUSE}" "unexpected word '${OPTIONS_WORDS[OPTIONS_MOST]}'"
}

# Take one option. Sets: taken of options::parse to 2, if the next word is its value.
options::_take() { # <option> [<word>...]
    local name="$1" value='' wants='' long key kind
    [[ "$1" != --*=* ]] || name="${1%%=*}"
    options::_find long kind "${name}" || options::unknown "$1"
    if [[ "${name}" != "$1" ]]; then
        [[ -n "${kind}" ]] || options::unknown "$1"
        value="${1#*=}" wants=yes
    elif [[ "${kind}" == needed ]]; then
        value="${2:-}" wants=yes taken=2
    fi
    # An empty value counts as none.
    [[ -z "${wants}" || -n "${value}" ]] || core::usage_error "option '${name}' needs a value"
    OPTIONS_GIVEN+=("${long}${value:+=${value}}")
    key="${long#--}" key="${key//-/_}"
    if [[ "${kind}" != free ]]; then
        OPTIONS["${key}"]="${value:-yes}"
    else
        OPTIONS["${key}"]=yes OPTIONS["${key}_value"]="${value:-${OPTIONS["${key}_value"]:-}}"
    fi
    case "${long}" in
        --help) core::help && exit "${EXIT_OK}" ;;
        --quiet) core::be_quiet ;;
        --guided) guide::on ;;
        *) ;;
    esac
}

# Find an option by one of its names. Sets: the variables named, to its long name and to whether it has a value: `needed`,
# `free` for one that may be left out, or nothing. Returns: 1 if the header does not have it.
options::_find() { # <variable> <variable> <name>
    local -n options_long="$1" options_kind="$2"
    local also
    options_long="${OPTIONS_LONG["$3"]:-"$3"}" options_kind=''
    if [[ -z "${OPTIONS_TEXT["${options_long}"]+there}" ]]; then
        for also in "${!OPTIONS_TEXT[@]}"; do
            [[ "${OPTIONS_TEXT["${also}"]}" != *"(also $3)"* ]] || options_long="${also}"
        done
        [[ "${options_long}" != "$3" ]] || return 1
    fi
    case "${OPTIONS_TEXT["${options_long}"]}" in
        '[='*) options_kind=free ;;
        ' '[[:upper:]]*) options_kind=needed ;;
        *) ;;
    esac
}

# Read the header: every command does this first, so there is no other process in it, no pattern that must be compiled,
# and no more work on an option than its names. Sets: what the header says, and OPTIONS to nothing.
options::read_header() {
    local launcher lines line name text long='' key
    core::launcher launcher
    mapfile -t lines < "${launcher}"
    for line in "${lines[@]}"; do
        case "${line}" in
            '#       -'*) text="${line:8}" long="${text%%[[ ]*}" ;;
            '#   -'*)
                text="${line:4}" name="${text%%[, ]*}" text="${text#"${name}, "}" long="${text%%[[ ]*}"
                OPTIONS_LONG["${name}"]="${long}" OPTIONS_NAMES+=("${name}")
                ;;
            '#        '*)
                # What goes on with an option's line begins farther to the right than an option. The words of a second
                # usage are verbs, which the command looks at itself.
                if [[ -n "${long}" ]]; then
                    OPTIONS_TEXT["${long}"]+="${line}"
                elif [[ "${line}" == *" ${COMMAND_NAME} "* ]]; then
                    OPTIONS_MOST=-1
                fi
                continue
                ;;
            '# Usage: '*) options::_read_usage "${line#*"[options]"}" && continue ;;
            '# Examples:') break ;;
            *) continue ;;
        esac
        key="${long#--}" key="${key//-/_}"
        OPTIONS["${key}"]='' OPTIONS_TEXT["${long}"]="${text#"${long}"}" OPTIONS_NAMES+=("${long}")
    done
}

# Read what the usage says of the words that are no options, such as ` NAME [FRAMEWORK [VERSION]]`.
options::_read_usage() { # <words>
    local words="$1" blanks
    [[ "${words}" != *' [-- '* ]] || OPTIONS_HAS_COMMAND=yes words="${words%% \[-- *}"
    [[ "${words}" != *FILE* ]] || OPTIONS_HAS_FILE=yes
    blanks="${words//[! ]/}" OPTIONS_MOST="${#blanks}"
    [[ "${words}" != *...* ]] || OPTIONS_MOST=-1
}

# Leave because the command does not know this option; names the one that was most likely meant.
options::unknown() { # <option>
    local near
    near="$(nearest::word "${1%%=*}" "${OPTIONS_NAMES[@]}")"
    [[ -z "${near}" ]] || core::die "${EXIT_USAGE}" "unknown option '$1'" "did you mean '${near}'?"
    "${OPTIONS_REFUSE}" "unknown option '$1'"
}

# Copy what was given into a table of the command's, as far as the table has such keys.
options::fill() { # <associative-array>
    local -n options_table="$1"
    local key
    for key in "${!OPTIONS[@]}"; do
        [[ -z "${options_table["${key}"]+there}" ]] || options_table["${key}"]="${OPTIONS["${key}"]}"
    done
}

# Append all values that a repeatable option was given. Sets: the array named.
options::values() { # <array-name> <long name>
    local -n options_values="$1"
    local word
    [[ "${OPTIONS_TEXT["$2"]}" == *repeat* ]] || core::die "${EXIT_BUG}" "the header of '$2' does not say 'repeatable'"
    for word in "${OPTIONS_GIVEN[@]}"; do
        [[ "${word}" != "$2="* ]] || options_values+=("${word#*=}")
    done
}
