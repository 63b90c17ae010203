# shellcheck shell=bash
# shellcheck disable=SC2153 # TERMINAL is set by the helper
# Dialogues, written once and held three ways: with whiptail, as plain prompts, and left at each of its questions.
# A test writes a function of `begins`, then `asks` and an answer for each question, then `ends`, and hands it to
# `hold_dialogue`. What each question looks like is kept in tests/screens; DS01_KEEP_SCREENS=1 keeps it anew.
: "${ROOT:?load helper first}"

# A home whose path has the same length everywhere, since the kept screens show it.
setup_dialogue() {
    setup_ds01
    HOME="$(mktemp -d "${BENCH_DIR:?dialogues are tested by tests/run}/höme.XXXXXX")"
    cd -- "${HOME}"
}

teardown_dialogue() {
    terminal_stop
    cd /
    [[ "${HOME}" != "${BENCH_DIR:-none}"/* ]] || rm -rf -- "${HOME}"
}

# What there is, to see whether a dialogue that was left did anything.
inventory() {
    docker ps --all --format '{{.Names}} {{.State}}' | sort
    docker images --format '{{.Repository}}' | sort
    find "${HOME}" -not -path '*/.cache*' -printf '%p %s\n' | sort
}

# Hold a dialogue: to its end, then left by Esc at each of its questions; and the same in plain lines, left by the end of
# the input at the first question. A question that another dialogue of the file was left at is not left again. Fails if
# one that was left did anything.
hold_dialogue() { # <function>
    local -A DIALOGUE_SEEN=()
    local DIALOGUE="$1" DIALOGUE_MODE DIALOGUE_LEAVE DIALOGUE_PATH="${PATH}" questions=() question
    for DIALOGUE_MODE in whiptail plain; do
        [[ "${DIALOGUE_MODE}" == whiptail ]] || DIALOGUE_PATH="$(path_without_whiptail)"
        DIALOGUE_LEAVE=0
        : > "${BATS_TEST_TMPDIR}/asked"
        go_through "$1"
        mapfile -t questions < "${BATS_TEST_TMPDIR}/asked"
        ((${#questions[@]} > 0)) || { printf '%s asked nothing\n' "$1" && return 1; }
        [[ "${DIALOGUE_MODE}" == whiptail ]] || questions=("${questions[0]}")
        for question in "${questions[@]}"; do
            DIALOGUE_LEAVE=$((DIALOGUE_LEAVE + 1))
            [[ ! -e "${BATS_FILE_TMPDIR}/${DIALOGUE_MODE} left at ${question}" ]] || continue
            go_through "$1"
            [[ -e "${BATS_FILE_TMPDIR}/${DIALOGUE_MODE} left at ${question}" ]] \
                || { printf '%s did not come to %s again\n' "$1" "${question}" && return 1; }
        done
    done
}

# A dialogue with whiptail once, to its end.
hold_once() { # <function>
    local -A DIALOGUE_SEEN=()
    local DIALOGUE="$1" DIALOGUE_MODE=whiptail DIALOGUE_LEAVE=0 DIALOGUE_PATH="${PATH}"
    go_through "$1"
}

# In a shell of its own, which leaving a question ends.
go_through() { # <function>
    # For the name of the terminal: what the shell counts is lost with it.
    TERMINALS=$((${TERMINALS:-0} + 10))
    (trap terminal_stop EXIT && DIALOGUE_BEGUN=0 && "$1")
}

# A PATH with all there is but whiptail. Prints: it.
path_without_whiptail() {
    local folder="${BATS_TEST_TMPDIR}/no whiptail"
    if [[ ! -d "${folder}" ]]; then
        mkdir -- "${folder}"
        cp --symbolic-link --no-clobber /usr/bin/* /bin/* /usr/sbin/* "$(dirname "$(type -P docker)")"/* "${folder}" 2> /dev/null || true
        rm -- "${folder}/whiptail"
    fi
    printf '%s\n' "${folder}"
}

# Type a command.
begins() { # <word>...
    inventory > "${BATS_TEST_TMPDIR}/before"
    rm -f -- "${BATS_TEST_TMPDIR}/terminal-status"
    DIALOGUE_BEGUN=$((DIALOGUE_BEGUN + 1))
    DIALOGUE_STAYS='' DIALOGUE_ASKED=0 DIALOGUE_LAST='' DIALOGUE_KEYS=() DIALOGUE_PLAIN='' DIALOGUE_SEEN=()
    terminal_stop
    terminal_start_and_stay env "PATH=${DIALOGUE_PATH}" "$@"
}

# A question is there, as it is kept: whole in 80 by 24 and after the terminal was larger for a while; and where there
# is a way back, it leads to the question before, whose answer is kept. With --again only the first is looked at: for a
# question that this dialogue comes to in a way that Enter does not repeat; with --ahead it is looked at, without a step
# back.
asks() { # [--again|--ahead] <name of the screen> <text>
    local again='' ahead=''
    [[ "$1" != --again ]] || { again=yes && shift; }
    [[ "$1" != --ahead ]] || { ahead=yes && shift; }
    question_is_there "$2"
    DIALOGUE_ASKED=$((DIALOGUE_ASKED + 1))
    if ((DIALOGUE_ASKED == DIALOGUE_LEAVE)); then
        leave
        : > "${BATS_FILE_TMPDIR}/${DIALOGUE_MODE} left at $1"
        exit 0
    fi
    ((DIALOGUE_LEAVE > 0 || DIALOGUE_BEGUN > 1)) || printf '%s\n' "$1" >> "${BATS_TEST_TMPDIR}/asked"
    if [[ "${DIALOGUE_MODE}" == plain ]]; then
        [[ -n "${again}${ahead}" || -z "${DIALOGUE_LAST}" ]] || goes_back_and_on "$2"
        DIALOGUE_PLAIN="$(conversation | normalised)"
    # It is looked at once in a file.
    elif [[ -z "${again}" && ! -e "${BATS_FILE_TMPDIR}/looked at $1" ]]; then
        terminal_matches "$1"
        tmux -L "${TERMINAL}" resize-window -t t -x 110 -y 33
        sleep 0.2
        tmux -L "${TERMINAL}" resize-window -t t -x 80 -y 24
        terminal_matches "$1"
        [[ -n "${ahead}" || -z "${DIALOGUE_LAST}" ]] || ! terminal_shows 'ack>' || goes_back_and_on "$2"
        : > "${BATS_FILE_TMPDIR}/looked at $1"
    fi
    DIALOGUE_LAST="$2"
}

# A question that another walk looks at and leaves.
passes() { # <text>
    question_is_there "$1"
    DIALOGUE_LAST="$1"
    if [[ "${DIALOGUE_MODE}" == plain ]]; then
        DIALOGUE_PLAIN="$(conversation | normalised)"
    else
        terminal_is_still
    fi
}

# What stands on the screen at a question, as it is kept; nothing else is tried there.
sees() { # <name of the screen> <text>
    question_is_there "$2"
    if [[ "${DIALOGUE_MODE}" == plain ]]; then
        DIALOGUE_PLAIN="$(conversation | normalised)"
    elif [[ ! -e "${BATS_FILE_TMPDIR}/looked at $1" ]]; then
        terminal_matches "$1"
        : > "${BATS_FILE_TMPDIR}/looked at $1"
    fi
    DIALOGUE_LAST="$2"
}

# In plain lines all that was asked before stands there too.
question_is_there() { # <text>
    if [[ "${DIALOGUE_MODE}" == plain ]]; then
        wait_for 30 is_asked_anew "$1" || { printf 'not asked: %s\n' "$1" && conversation && return 1; }
        DIALOGUE_SEEN["$1"]="$(conversation | grep -cF -- "$1")"
    else
        wait_for 30 terminal_shows "$1" || { printf 'not asked: %s\n' "$1" && return 1; }
    fi
}

is_asked_anew() { # <text>
    (("$(conversation | grep -cF -- "$1")" > ${DIALOGUE_SEEN["$1"]:-0}))
}

# All lines so far, in their whole length.
conversation() {
    tmux -L "${TERMINAL}" capture-pane -p -J -S - -t t | sed -e 's/ *$//' -e :a -e '/^\n*$/{$d;N;ba' -e '}'
}

goes_back_and_on() { # <text>
    back
    question_is_there "${DIALOGUE_LAST}"
    terminal_is_still
    if [[ "${DIALOGUE_MODE}" == plain ]]; then
        terminal_keys "${DIALOGUE_KEYS[@]}"
    else
        terminal_keys Enter
    fi
    question_is_there "$1"
    terminal_is_still
}

# Choose a row, counted from 1.
pick() { # <row>
    local i
    DIALOGUE_KEYS=("$1" Enter)
    if [[ "${DIALOGUE_MODE}" == plain ]]; then
        terminal_keys "$1" Enter
        return
    fi
    terminal_keys Home
    for ((i = 1; i < $1; i++)); do terminal_keys Down; done
    terminal_keys Enter
}

# Turn the marks of rows over, counted from 1, and go on.
mark() { # <row>...
    local row at=1
    DIALOGUE_KEYS=(Enter)
    if [[ "${DIALOGUE_MODE}" == plain ]]; then
        terminal_keys -l "$*"
        terminal_keys Enter
        question_is_there 'empty when done'
        terminal_keys Enter
        return
    fi
    # What whiptail marks in knows no Home key.
    for row in "$@"; do
        for (( ; at < row; at++)); do terminal_keys Down; done
        for (( ; at > row; at--)); do terminal_keys Up; done
        terminal_keys Space
    done
    terminal_keys Enter
}

# Answer with a line of text instead of what is there.
fill() { # <text>
    DIALOGUE_KEYS=(Enter)
    [[ "${DIALOGUE_MODE}" == plain ]] || terminal_keys C-u
    terminal_keys -l -- "$1"
    terminal_keys Enter
}

# Take a line of text or marks as they are.
go_on() {
    DIALOGUE_KEYS=(Enter)
    terminal_keys Enter
}

# Answer yes; No is the default.
say_yes() {
    if [[ "${DIALOGUE_MODE}" == plain ]]; then
        terminal_keys y Enter
        return
    fi
    ! terminal_shows 'Tab leads on' || terminal_keys Tab
    terminal_keys Left Enter
}

say_no() {
    if [[ "${DIALOGUE_MODE}" == plain ]]; then
        terminal_keys n Enter
        return
    fi
    ! terminal_shows 'Tab leads on' || terminal_keys Tab
    terminal_keys Enter
}

# A message is there, which whiptail shows until Enter.
tells() { # <name of the screen> <text>
    question_is_there "$2"
    [[ "${DIALOGUE_MODE}" != plain ]] || return 0
    [[ -e "${BATS_FILE_TMPDIR}/looked at $1" ]] || terminal_matches "$1"
    : > "${BATS_FILE_TMPDIR}/looked at $1"
    ! terminal_shows 'Tab leads on' || terminal_keys Tab
    terminal_keys Enter
}

# Go back to the question before.
back() {
    if [[ "${DIALOGUE_MODE}" == plain ]]; then
        terminal_keys - Enter
    elif terminal_shows '<No, back>'; then
        say_no
    else
        terminal_keys Tab Tab Enter
    fi
}

# From here on something is done, which stays when the dialogue is left; the words say so.
does_and_tells() { # <text>
    DIALOGUE_STAYS="$1"
}

# Leave here: 130, and all is as it was.
leave() {
    local status
    if [[ "${DIALOGUE_MODE}" == plain ]]; then terminal_keys C-d; else terminal_keys Escape; fi
    status="$(terminal_status)"
    [[ "${status}" == 130 ]] || { printf 'left with status %s\n' "${status}" && terminal_screen && return 1; }
    if [[ -n "${DIALOGUE_STAYS}" ]]; then
        terminal_shows "${DIALOGUE_STAYS}" || { printf 'not told: %s\n' "${DIALOGUE_STAYS}" && terminal_screen && return 1; }
        return 0
    fi
    diff -- "${BATS_TEST_TMPDIR}/before" <(inventory)
}

# The command ends with the status, and shows the words: the same in one line, say. How it went in plain lines is kept.
ends() { # <status> [<text>...]
    local status text screen
    status="$(terminal_status)"
    # Without the line breaks of the terminal.
    screen="$(conversation)"
    [[ "${status}" == "$1" ]] || { printf 'ended with status %s\n%s\n' "${status}" "${screen}" && return 1; }
    for text in "${@:2}"; do
        [[ "${screen}" == *"${text}"* ]] || { printf 'not told: %s\n%s\n' "${text}" "${screen}" && return 1; }
    done
    [[ "${DIALOGUE_MODE}" != plain ]] || is_kept "${DIALOGUE#walk_}-plain" "${DIALOGUE_PLAIN}"
}
