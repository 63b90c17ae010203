# shellcheck shell=bash
# The words of a command line, read as the header of the command's launcher describes them: which options there are and
# how else they are written, which have a value, which may be repeated, and how many other words there may be.
# shellcheck disable=SC2034 # what was read is for the commands
: "${PROJECT_ROOT:?set by lib/run-command}" "${COMMAND_NAME:?set by lib/run-command}" "${EXIT_OK:?}" "${EXIT_USAGE:?}"

# What each option was given, by its long name with '_' for '-': its last value, `yes` where it has none, nothing where it
# was not given. A value that may be left out, as in '--wait[=DURATION]', is apart, as wait_value. An option that may be
# repeated is not in here: options::values has its values.
declare -A OPTIONS=([help]='')
# The options in the order in which they were given, by their long names: '--json', '--gpus=1'.
OPTIONS_GIVEN=("")
# The words that are no options, how many words were typed up to the first of them, and, where the usage has
# '[-- COMMAND...]', the words behind the dashes.
OPTIONS_WORDS=("") OPTIONS_WORD_AT=0 OPTIONS_COMMAND=("")
# The function that leaves because of an option that is like none, or of a word too many.
OPTIONS_REFUSE=core::usage_error

# What the header says. The names of the options, in its order, and the long one that each name stands for.
OPTIONS_NAMES=()
declare -A OPTIONS_LONG=()
# By the long name: what the value is called, such as `DIR` or `[=DURATION]`; and whether it may be repeated.
declare -A OPTIONS_VALUE=() OPTIONS_REPEATS=()
# How many other words there may be, -1 for any number; whether '-' is one of them, and whether a command comes after '--'.
OPTIONS_MOST=0 OPTIONS_HAS_FILE='' OPTIONS_HAS_COMMAND=''
# One option's line: its names, then its value. A line that goes on with the one before begins farther to the right.
readonly OPTIONS_TERM='--?[[:alpha:]][[:alnum:]_-]*(, --[[:alpha:]][[:alnum:]_-]*)?'
readonly OPTIONS_KIND='\[=[[:upper:]][^]]*\]| [[:upper:]][[:upper:][:digit:]_-]*'
readonly OPTIONS_LINE="^#( {3}| {7})(${OPTIONS_TERM})(${OPTIONS_KIND})?( |\$)"

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
    long="${OPTIONS_LONG["${name}"]:-}"
    [[ -n "${long}" ]] || options::unknown "$1"
    kind="${OPTIONS_VALUE["${long}"]}"
    if [[ "${name}" != "$1" ]]; then
        [[ -n "${kind}" ]] || options::unknown "$1"
        value="${1#*=}" wants=yes
    elif [[ "${kind}" == [!\[]* ]]; then
        value="${2:-}" wants=yes taken=2
    fi
    # An empty value counts as none.
    [[ -z "${wants}" || -n "${value}" ]] || core::usage_error "option '${name}' needs a value"
    OPTIONS_GIVEN+=("${long}${value:+=${value}}")
    key="${long#--}" key="${key//-/_}"
    if [[ "${kind}" == '['* ]]; then
        OPTIONS["${key}"]=yes
        [[ -z "${value}" ]] || OPTIONS["${key}_value"]="${value}"
    elif [[ -z "${OPTIONS_REPEATS["${long}"]:-}" ]]; then
        OPTIONS["${key}"]="${value:-yes}"
    fi
    case "${long}" in
        --help) core::help && exit "${EXIT_OK}" ;;
        --quiet) core::be_quiet ;;
        --guided) guide::on ;;
        *) ;;
    esac
}

# Read the header, without another process: every command does this first. Sets: what it says, and OPTIONS to nothing.
options::read_header() {
    local launcher lines line section='' long='' name key
    core::launcher launcher
    mapfile -t lines < "${launcher}"
    for line in "${lines[@]}"; do
        case "${line}" in
            '# Usage: '*) section=usage && options::_read_usage "${line#*"[options]"}" ;;
            '# Options:') section=options ;;
            '#   '*)
                # The words of several usages are verbs, which the command looks at itself.
                [[ "${section}" != usage ]] || OPTIONS_MOST=-1
                [[ "${section}" == options ]] || continue
                if [[ "${line}" =~ ${OPTIONS_LINE} ]]; then
                    long="${BASH_REMATCH[2]##*, }" name="${BASH_REMATCH[2]%%, *}"
                    OPTIONS_VALUE["${long}"]="${BASH_REMATCH[4]# }"
                    OPTIONS_NAMES+=("${name}")
                    [[ "${name}" == "${long}" ]] || OPTIONS_NAMES+=("${long}")
                    OPTIONS_LONG["${name}"]="${long}" OPTIONS_LONG["${long}"]="${long}"
                    key="${long#--}" key="${key//-/_}"
                    OPTIONS["${key}"]=''
                    [[ "${BASH_REMATCH[4]}" != '['* ]] || OPTIONS["${key}_value"]=''
                fi
                if [[ "${line}" == *'(also -'* ]]; then
                    name="${line##*'(also '}"
                    OPTIONS_LONG["${name%%)*}"]="${long}"
                fi
                if [[ "${line}" == *repeat* ]]; then
                    OPTIONS_REPEATS["${long}"]=yes
                    unset -v "OPTIONS[${key}]"
                fi
                ;;
            *)
                [[ "${section}" != options ]] || break
                section=''
                ;;
        esac
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
    : "${OPTIONS_REPEATS["$2"]:?"$2 is in OPTIONS: the header does not say that it may be repeated"}"
    for word in "${OPTIONS_GIVEN[@]}"; do
        [[ "${word}" != "$2="* ]] || options_values+=("${word#*=}")
    done
}
