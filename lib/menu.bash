# shellcheck shell=bash
# Questions to a person: the only file that names whiptail. Every question returns its answer on stdout and the status
# 0 (chosen), 1 (Cancel: go back) or 255 (Esc: leave). Without whiptail the same questions are plain numbered prompts.
: "${PROJECT_ROOT:?set by lib/run-command}" "${CORE_LINE?}" "${CORE_QUIET?}" "${CORE_TEMP?}" "${EXIT_LEFT:?}"

# What `menu::walk` sets: the word on the button that goes back; that a person was asked, here or by the command that
# runs this one.
MENU_BACK=Cancel
MENU_ASKED="${DS01_ASKED:-}"
# What menu::_fit and menu::_set_box set.
MENU_ROWS=() MENU_BOX=()
# The tags that were cut for a list: what it shows of each, and the other way round.
declare -A MENU_SHORT=() MENU_WHOLE=()
# The status of a dialogue whose terminal became too small for it.
readonly MENU_CUT=9

# Legible on dark and light terminals, since every part has both its colours; an administrator's NEWT_COLORS wins.
readonly MENU_COLOURS='root=lightgray,black window=black,lightgray border=black,lightgray shadow=black,black
title=blue,lightgray button=lightgray,blue actbutton=white,red compactbutton=black,lightgray checkbox=black,lightgray
actcheckbox=white,blue entry=black,white disentry=gray,lightgray label=black,lightgray listbox=black,lightgray
actlistbox=white,blue sellistbox=black,lightgray actsellistbox=white,blue textbox=black,lightgray
acttextbox=white,blue emptyscale=black,white fullscale=white,blue helpline=white,black roottext=white,black'

# Work out a dialogue's box within the terminal. Sets: MENU_BOX (height, width and rows for a list).
menu::_set_box() { # <rows-wanted> [<text above the list>]
    local lines columns rows="$1" height width line above=-1
    read -r lines columns <<< "$(menu::_terminal_size)"
    width=$((columns - 4))
    ((width <= 100)) || width=100
    # Only in one that became too small for any question.
    ((width >= 36)) || width=36
    # Whiptail wraps at the width of its box; a line counts as often as it will be broken.
    while IFS= read -r line; do
        above=$((above + 1 + ${#line} / (width - 4)))
    done <<< "${2:-}"
    # The first line is the title's, and the last stays free.
    ((rows <= lines - 11 - above)) || rows=$((lines - 11 - above))
    ((rows > 0)) || rows=1
    height=$((rows + 9 + above))
    ((height <= lines - 2)) || height=$((lines - 2))
    MENU_BOX=("${height}" "${width}" "${rows}")
}

# Prints: lines and columns of the terminal; 24 and 80 where it does not say.
menu::_terminal_size() {
    local lines=0 columns=0
    # That of stderr, which is drawn on; a gauge's stdin is none.
    read -r lines columns < <(stty size <&2 2> /dev/null) || true
    ((lines > 0)) || lines=24
    ((columns > 0)) || columns=80
    printf '%s %s\n' "${lines}" "${columns}"
}

# Is whiptail there, and can it draw on this terminal? One that terminfo does not know (that of a new program, on an old
# server) it leaves without a word, unless its name says that it is like xterm; and a question needs some room.
menu::_has_whiptail() {
    local lines columns
    command -v whiptail > /dev/null || return
    [[ "${TERM:-}" == xterm* ]] || tput cup 0 0 &> /dev/null || return
    read -r lines columns <<< "$(menu::_terminal_size)"
    ((lines >= 16 && columns >= 40))
}

# Ask with whiptail: the function works out the box and draws it, anew where the terminal became too small for it
# meanwhile. Returns: what the function does.
menu::_ask() { # <function> [<word>...]
    local status
    while true; do
        status=0
        "$@" || status=$?
        ((status == MENU_CUT)) || return "${status}"
    done
}

# Run one dialogue; the answer comes on stdout because whiptail draws on the terminal's stdout and answers on stderr.
# Returns: MENU_CUT if the terminal became smaller than MENU_BOX meanwhile, which whiptail does not see by itself.
menu::_whiptail() ( # --title <title> <whiptail-words>...
    settings=() status=0 cut='' resized=yes keys=': arrows and Tab move, Enter takes, Esc leaves'
    # A narrow terminal would cut the line.
    [[ "$3" != --gauge ]] && ((MENU_BOX[1] >= 48)) || keys=''
    [[ -z "${NO_COLOR:-}" ]] || settings+=(NEWT_MONO=1)
    [[ -n "${NEWT_COLORS:-}${NEWT_COLORS_FILE:-}" ]] || settings+=("NEWT_COLORS=${MENU_COLOURS}")
    # In another character set it draws rubbish for the letters outside ASCII.
    [[ "${LC_ALL:-${LC_CTYPE:-${LANG:-}}}" == *[Uu][Tt][Ff]* ]] || settings+=(LC_ALL=C.UTF-8)
    # Empty for a gauge, which reads from elsewhere and cannot be drawn anew.
    tty="$(stty -g 2> /dev/null)" || true
    # Its frame and the signs around it take 6.
    menu::_cut title "$2" "$((MENU_BOX[1] - 6))"
    # Beside this shell, which would learn of the terminal's new size only at the end.
    env "${settings[@]}" whiptail --backtitle "DS01${keys}" --title "${title}" "${@:3}" 0<&0 3>&1 1>&2 2>&3 &
    pid=$!
    trap 'kill "${pid}" 2> /dev/null' EXIT
    trap 'resized=yes; [[ -z "${tty}" ]] || menu::_fits || { cut=yes && kill "${pid}"; }' WINCH
    # A signal that is trapped ends the waiting only.
    while [[ -n "${resized}" ]]; do
        resized='' status=0
        wait "${pid}" 2> /dev/null || status=$?
    done
    trap - WINCH EXIT
    [[ -n "${cut}" ]] || exit "${status}"
    stty "${tty}"
    exit "${MENU_CUT}"
)

# Is the terminal still as large as the box?
menu::_fits() {
    local lines columns
    read -r lines columns <<< "$(menu::_terminal_size)"
    ((MENU_BOX[0] <= lines && MENU_BOX[1] <= columns))
}

# Cut a text in its middle where it has no room. Sets: the variable named.
menu::_cut() { # <variable> <text> <room> [<sign between the parts>]
    # Letters are counted and cut, not bytes.
    local -n menu_cut="$1"
    local text="$2" room="$3" sign="${4:-…}" LC_ALL=C.UTF-8
    # shellcheck disable=SC2034 # the caller's variable, by reference
    menu_cut="${text}"
    ((${#text} > room)) || return 0
    room=$((room - ${#sign}))
    # shellcheck disable=SC2034
    menu_cut="${text:0:room-room/2}${sign}${text:${#text}-room/2}"
}

# Cut the tags and the descriptions of a list, two of every <step> words, so that no row leaves its box: descriptions
# have half of it, or what the tags leave. Sets: MENU_ROWS, MENU_SHORT, MENU_WHOLE.
menu::_fit() { # <step> <word>...
    local step="$1" tags=0 texts=0 i n room tag short LC_ALL=C.UTF-8
    MENU_ROWS=("${@:2}") MENU_SHORT=() MENU_WHOLE=()
    for ((i = 0; i < ${#MENU_ROWS[@]}; i += step)); do
        ((${#MENU_ROWS[i]} <= tags)) || tags=${#MENU_ROWS[i]}
        ((${#MENU_ROWS[i + 1]} <= texts)) || texts=${#MENU_ROWS[i + 1]}
    done
    # The frame, the blanks between the columns and the scroll bar take 8, marks to set 4 more.
    room=$((MENU_BOX[1] - (step == 2 ? 8 : 12)))
    ((texts <= room / 2)) || texts=$((room / 2))
    ((tags <= room - texts)) || tags=$((room - texts))
    for ((i = 0; i < ${#MENU_ROWS[@]}; i += step)); do
        tag="${MENU_ROWS[i]}"
        ((${#tag} > tags)) || continue
        menu::_cut short "${tag}" "${tags}"
        # What is left of two of them may be the same.
        for ((n = 2; ${#MENU_WHOLE[${short}]} > 0; n++)); do
            menu::_cut short "${tag}" "${tags}" "…${n}…"
        done
        MENU_SHORT["${tag}"]="${short}" MENU_WHOLE["${short}"]="${tag}" MENU_ROWS[i]="${short}"
    done
    room=$((room - tags))
    for ((i = 1; i < ${#MENU_ROWS[@]}; i += step)); do
        ((${#MENU_ROWS[i]} <= room)) || MENU_ROWS[i]="${MENU_ROWS[i]:0:room-1}…"
    done
}

# Print the tags that a list shows as they are.
menu::_print_whole() { # <tags, a line each>
    local tag
    while IFS= read -r tag; do
        [[ -z "${tag}" ]] || printf '%s\n' "${MENU_WHOLE[${tag}]:-${tag}}"
    done <<< "$1"
}

# Choose one of several things; the row of <default> is marked. Prints: the tag chosen.
menu::select() { # [--default <tag>] <title> <text> <tag> <description> [<tag> <description>]...
    local default='' title text
    if [[ "$1" == --default ]]; then
        default="$2"
        shift 2
    fi
    title="$1" text="$2"
    shift 2
    if ! menu::_has_whiptail; then
        menu::_select_plain "${default}" "${title}" "${text}" "$@"
        return
    fi
    menu::_ask menu::_select "${default}" "${title}" "${text}" "$@"
}

menu::_select() { # <default> <title> <text> <tag> <description>...
    local default="$1" title="$2" text="$3" answer
    shift 3
    menu::_set_box "$(($# / 2))" "${text}"
    menu::_fit 2 "$@"
    [[ -z "${default}" ]] || default="${MENU_SHORT[${default}]:-${default}}"
    answer="$(menu::_whiptail --title "${title}" --cancel-button "${MENU_BACK}" \
        ${default:+--default-item "${default}"} --menu -- "${text}" "${MENU_BOX[@]}" "${MENU_ROWS[@]}")" || return
    menu::_print_whole "${answer}"
}

# Read a line. Sets: the variable named. Returns: 255 at the end of the input, which leaves.
menu::_read() { # <variable>
    IFS= read -r "$1" && return 0
    printf '\n' >&2
    return 255
}

# The row of the default has a mark, and an empty line takes it.
menu::_select_plain() { # <default> <title> <text> <tag> <description>...
    local answer index mark default="$1" marked=- keys='empty or -' tags=()
    printf '%s\n%s\n' "$2" "$3" >&2
    shift 3
    while (($# > 1)); do
        tags+=("$1") mark=' '
        [[ "$1" != "${default}" ]] || mark='*' marked="${#tags[@]}" keys='Enter for *, -'
        printf '%s %d) %s  %s\n' "${mark}" "${#tags[@]}" "$1" "$2" >&2
        shift 2
    done
    while true; do
        printf 'Number (%s to go back): ' "${keys}" >&2
        menu::_read answer || return
        answer="${answer:-${marked}}"
        [[ "${answer}" != - ]] || return 1
        if [[ "${answer}" =~ ^[0-9]{1,6}$ ]]; then
            index=$((10#${answer}))
            if ((index >= 1 && index <= ${#tags[@]})); then
                printf '%s\n' "${tags[index - 1]}"
                return 0
            fi
        fi
        printf "'%s' is not one of the numbers\n" "${answer}" >&2
    done
}

# Choose any number of things. Prints: the chosen tags, a line each.
menu::checklist() { # <title> <text> <tag> <description> <on|off> [...]
    if ! menu::_has_whiptail; then
        menu::_checklist_plain "$@"
        return
    fi
    menu::_ask menu::_checklist "$@"
}

menu::_checklist() { # <title> <text> <tag> <description> <on|off> [...]
    local title="$1" text="$2 (space marks)" answer
    shift 2
    menu::_set_box "$(($# / 3))" "${text}"
    # The keys that other lists know beside the arrows, Home, End and letters, do nothing here.
    ((MENU_BOX[2] * 3 >= $#)) || title+=': Page Down leads to more'
    menu::_fit 3 "$@"
    answer="$(menu::_whiptail --title "${title}" --cancel-button "${MENU_BACK}" --separate-output \
        --checklist -- "${text}" "${MENU_BOX[@]}" "${MENU_ROWS[@]}")" || return
    menu::_print_whole "${answer}"
}

# Every number that is typed turns its row's mark over; an empty line takes what is marked.
menu::_checklist_plain() { # <title> <text> <tag> <description> <on|off> [...]
    local answer word i tags=() texts=() marks=()
    printf '%s\n%s\n' "$1" "$2" >&2
    shift 2
    while (($# > 2)); do
        tags+=("$1") texts+=("$2") marks+=("$3")
        shift 3
    done
    while true; do
        for ((i = 0; i < ${#tags[@]}; i++)); do
            [[ "${marks[i]}" == on ]] && word='*' || word=' '
            printf '  %d) [%s] %s  %s\n' $((i + 1)) "${word}" "${tags[i]}" "${texts[i]}" >&2
        done
        printf 'Numbers to mark or unmark (empty when done, - to go back): ' >&2
        menu::_read answer || return
        [[ "${answer}" != - ]] || return 1
        [[ -n "${answer// /}" ]] || break
        # All of them or none.
        for word in ${answer//,/ }; do
            [[ "${word}" =~ ^[0-9]{1,6}$ ]] && ((10#${word} >= 1 && 10#${word} <= ${#tags[@]})) && continue
            printf "'%s' is not one of the numbers\n" "${word}" >&2
            continue 2
        done
        for word in ${answer//,/ }; do
            i=$((10#${word} - 1))
            [[ "${marks[i]}" == on ]] && marks[i]=off || marks[i]=on
        done
    done
    for ((i = 0; i < ${#tags[@]}; i++)); do
        [[ "${marks[i]}" != on ]] || printf '%s\n' "${tags[i]}"
    done
}

# Ask for a line of text. Prints: the line.
menu::input() { # <title> <text> [<default>]
    local answer keys='- to go back'
    if ! menu::_has_whiptail; then
        # An empty line takes what is there already, so another one has to clear it.
        [[ -z "${3:-}" || "$2" != *'(empty'* ]] || keys="a blank clears it, ${keys}"
        printf '%s\n%s%s (%s): ' "$1" "${2%:}" "${3:+ [$3]}" "${keys}" >&2
        menu::_read answer || return
        [[ "${answer}" != - ]] || return 1
        [[ -n "${answer}" ]] || answer="${3:-}"
        [[ "${answer}" == *[![:blank:]]* ]] || answer=''
        printf '%s\n' "${answer}"
        return
    fi
    menu::_ask menu::_input "$@"
}

menu::_input() { # <title> <text> [<default>]
    menu::_set_box 2
    menu::_whiptail --title "$1" --cancel-button "${MENU_BACK}" --inputbox -- "$2" "${MENU_BOX[@]:0:2}" "${3:-}"
}

# Show a text in a box that fits it.
menu::_text() { # <title> <text> <whiptail-word>...
    local text rows scroll=() title="$1"
    menu::_set_box 1
    text="$(fold -s -w "$((MENU_BOX[1] - 6))" <<< "$2")"
    rows="$(wc -l <<< "${text}")"
    menu::_set_box "${rows}"
    MENU_BOX[0]=$((MENU_BOX[0] - 2))
    # A text that scrolls takes the keyboard until Tab is pressed, so only where it must.
    if ((rows > MENU_BOX[0] - 6)); then
        scroll=(--scrolltext)
        # A question begins on its default, a message in the text.
        [[ " ${*:3} " == *' --yesno '* ]] && title+=": Tab, then arrows scroll" || title+=": arrows scroll, Tab leads on"
    fi
    menu::_whiptail --title "${title}" "${scroll[@]}" "${@:3}" -- "${text}" "${MENU_BOX[@]:0:2}"
}

# Ask yes or no; the default is No, which on the way through steps goes back.
menu::confirm() { # <title> <text>
    local answer no=No
    MENU_ASKED=yes
    [[ "${MENU_BACK}" != Back ]] || no='No, back'
    if ! menu::_has_whiptail; then
        printf '%s\n%s [y/N%s]: ' "$1" "$2" "${no#No}" >&2
        menu::_read answer || return
        [[ "${answer,,}" == y || "${answer,,}" == yes ]]
        return
    fi
    menu::_ask menu::_text "$@" --no-button "${no}" --defaultno --yesno
}

# Show a text until Enter is pressed.
menu::message() { # <title> <text>
    if ! menu::_has_whiptail; then
        printf '%s\n%s\n' "$1" "$2" >&2
        return 0
    fi
    menu::_ask menu::_text "$@" --msgbox
}

# Lead through steps. Each is a function that asks one thing, keeps the answer itself, and returns 0 (go on), 1 (go back),
# 2 (there was nothing to ask: go on in the same direction) or 255 (leave). Returns: 0, or 1 or 255 when the person left.
# A step may be a walk itself: back from its first step is back to the step before it.
menu::walk() { # <step>...
    local steps=("$@") at=0 direction=1 status i first="${MENU_BACK}" asked=() from said MENU_BACK
    while ((at < ${#steps[@]})); do
        MENU_BACK="${first}"
        for ((i = 0; i < at; i++)); do
            [[ -z "${asked[i]}" ]] || MENU_BACK=Back
        done
        status=0
        "${steps[at]}" || status=$?
        case "${status}" in
            0) direction=1 ;;
            1) direction=-1 from="${at}" said="${MENU_BACK}" ;;
            2) ;;
            *) return 255 ;;
        esac
        asked[at]=''
        ((status == 2)) || asked[at]=yes MENU_ASKED=yes
        at=$((at + direction))
        ((at < 0)) || continue
        [[ "${said}" == Back && "${first}" != Back ]] || return 1
        # What was asked before has nothing to ask any more: the way back ends where it began.
        at="${from}" direction=1
    done
}

# Has a dialogue led here, and can a gauge be shown of what follows?
menu::has_gauge() {
    [[ -n "${MENU_ASKED}" && -z "${CORE_QUIET}" ]] && core::is_interactive && menu::_has_whiptail
}

# Run another command of DS01, which shows its work as this one would; what it prints is not this one's result.
menu::run_command() { # <command> <word>...
    DS01_ASKED="${MENU_ASKED}" "${PROJECT_ROOT}/bin/$1" "${@:2}" ${CORE_QUIET:+--quiet} >&2
}

# Do long work that a dialogue led to, with a gauge on the screen meanwhile; Ctrl-C is the work's. What it says on stderr
# goes through <lines>, a function that makes lines `PERCENT TEXT` of it, and is told afterwards without what is progress
# only. Returns: the work's status, 130 if it was interrupted.
menu::work() { # <title> <lines> <word>...
    local title="$1" lines="$2" status=0 reader said interrupted=''
    shift 2
    core::make_temp
    exec {said}> >(trap '' INT && tee -- "${CORE_TEMP}/said" | "${lines}" | menu::_gauge "${title}")
    reader=$!
    trap 'interrupted=yes' INT
    "$@" 2>&"${said}" || status=$?
    exec {said}>&-
    wait "${reader}" 2> /dev/null || true
    trap - INT
    [[ -z "${interrupted}" ]] || status="${EXIT_LEFT}"
    grep -vE -e '^(step [0-9]+/|docker: |mmdebstrap: |[0-9a-f]{12}: |Digest: |Status: )' \
        -e '^[a-z -]+: info: (fetching|preparing|creating|building) ' \
        "${CORE_TEMP}/said" >&2 || true
    return "${status}"
}

# Show lines `PERCENT TEXT` from stdin as a gauge, with the seconds, until they end.
menu::_gauge() { # <title>
    # The lines that the text has at first are all that it is given. It cannot be drawn anew, so it fits everywhere.
    menu::_set_box 1
    MENU_BOX=(10 "$((MENU_BOX[1] < 76 ? MENU_BOX[1] : 76))")
    menu::_gauge_words | menu::_whiptail --title "$1" --gauge -- $'It begins.\n \n ' "${MENU_BOX[@]}" 0 || true
}

menu::_gauge_words() {
    local percent=0 text='' began="${SECONDS}" status wait
    while true; do
        # Whiptail takes all keys from the terminal when it begins, though a gauge looks at none: Ctrl-C is given back,
        # at first after less than a person would notice.
        ((SECONDS == began)) && wait=0.1 || wait=0.5
        status=0
        core::read_within "${wait}" || status=$?
        ((status == 0 || status > 128)) || break
        ((status != 0)) || percent="${CORE_LINE%% *}" text="${CORE_LINE#* }"
        stty isig intr ^C 2> /dev/null < /dev/tty || true
        printf 'XXX\n%s\n%s\n \n%s s. Ctrl-C ends it cleanly.\nXXX\n' "${percent}" "${text:0:MENU_BOX[1]-6}" \
            "$((SECONDS - began))"
    done
}

# Leave the command because the person cancelled a question; nothing was done.
menu::left() {
    core::info "left without doing anything"
    exit "${EXIT_LEFT}"
}
