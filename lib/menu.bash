# shellcheck shell=bash
# Questions to a person: the only file that names whiptail. Every question returns its answer on stdout and the status
# 0 (chosen), 1 (Cancel: go back) or 255 (Esc: leave). Without whiptail the same questions are plain numbered prompts.
: "${PROJECT_ROOT:?set by lib/run-command}" "${CORE_QUIET?}" "${CORE_TEMP?}" "${EXIT_LEFT:?}"

# What `menu::walk` sets: the word on the button that goes back; that a person was asked.
MENU_BACK=Cancel
MENU_ASKED=
# What menu::_fit and menu::_set_text set.
MENU_ROWS=() MENU_TEXT='' MENU_BOX=() MENU_SCROLL=()

# Legible on dark and light terminals, since every part has both its colours; an administrator's NEWT_COLORS wins.
readonly MENU_COLOURS='root=lightgray,black window=black,lightgray border=black,lightgray shadow=black,black
title=blue,lightgray button=lightgray,blue actbutton=white,red compactbutton=black,lightgray checkbox=black,lightgray
actcheckbox=white,blue entry=black,white disentry=gray,lightgray label=black,lightgray listbox=black,lightgray
actlistbox=white,blue sellistbox=black,lightgray actsellistbox=white,blue textbox=black,lightgray
acttextbox=white,blue emptyscale=black,white fullscale=white,blue helpline=white,black roottext=white,black'

# The height and width for a dialogue, within the terminal. Prints: height, width, rows for a list.
menu::_size() { # <rows-wanted> [<text above the list>]
    local lines=24 columns=80
    read -r lines columns < <(stty size 2> /dev/null) || true
    ((lines > 10)) || lines=24
    ((columns > 30)) || columns=80
    local rows="$1" height width line above=-1
    width=$((columns - 4))
    ((width <= 100)) || width=100
    # Whiptail wraps at the width of its box; a line counts as often as it will be broken.
    while IFS= read -r line; do
        above=$((above + 1 + ${#line} / (width - 4)))
    done <<< "${2:-}"
    # The first line is the title's, and the last stays free.
    ((rows <= lines - 11 - above)) || rows=$((lines - 11 - above))
    ((rows > 0)) || rows=1
    height=$((rows + 9 + above))
    ((height <= lines - 2)) || height=$((lines - 2))
    printf '%s %s %s\n' "${height}" "${width}" "${rows}"
}

menu::_has_whiptail() {
    command -v whiptail > /dev/null
}

# Run one dialogue; the answer comes on stdout because whiptail draws on the terminal's stdout and answers on stderr.
menu::_whiptail() { # <whiptail-words>...
    local settings=()
    [[ -z "${NO_COLOR:-}" ]] || settings+=(NEWT_MONO=1)
    [[ -n "${NEWT_COLORS:-}${NEWT_COLORS_FILE:-}" ]] || settings+=("NEWT_COLORS=${MENU_COLOURS}")
    # In another character set it draws rubbish for the letters outside ASCII.
    [[ "${LC_ALL:-${LC_CTYPE:-${LANG:-}}}" == *[Uu][Tt][Ff]* ]] || settings+=(LC_ALL=C.UTF-8)
    env "${settings[@]}" whiptail --backtitle DS01 "$@" 3>&1 1>&2 2>&3
}

# Cut the descriptions of a list, every <step> words from the second on, so that no row leaves its box. Sets: MENU_ROWS.
menu::_fit() { # <width> <step> <word>...
    # Letters are counted and cut, not bytes.
    local width="$1" step="$2" longest=0 i room LC_ALL=C.UTF-8
    MENU_ROWS=("${@:3}")
    for ((i = 0; i < ${#MENU_ROWS[@]}; i += step)); do
        ((${#MENU_ROWS[i]} <= longest)) || longest=${#MENU_ROWS[i]}
    done
    # The frame, the blanks between the columns and a mark to set take 14.
    room=$((width - longest - 14))
    ((room >= 8)) || room=8
    for ((i = 1; i < ${#MENU_ROWS[@]}; i += step)); do
        ((${#MENU_ROWS[i]} <= room)) || MENU_ROWS[i]="${MENU_ROWS[i]:0:room-1}…"
    done
}

# Choose one of several things; the row of <default> is marked. Prints: the tag chosen.
menu::select() { # [--default <tag>] <title> <text> <tag> <description> [<tag> <description>]...
    local default='' title text size
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
    read -ra size <<< "$(menu::_size "$(($# / 2))" "${text}")"
    menu::_fit "${size[1]}" 2 "$@"
    menu::_whiptail --title "${title}" --cancel-button "${MENU_BACK}" ${default:+--default-item "${default}"} \
        --menu -- "${text}" "${size[@]}" "${MENU_ROWS[@]}"
}

# What was answered before has a mark.
menu::_select_plain() { # <default> <title> <text> <tag> <description>...
    local answer index mark default="$1" tags=()
    printf '%s\n%s\n' "$2" "$3" >&2
    shift 3
    while (($# > 1)); do
        tags+=("$1") mark=' '
        [[ "$1" != "${default}" ]] || mark='*'
        printf '%s %d) %s  %s\n' "${mark}" "${#tags[@]}" "$1" "$2" >&2
        shift 2
    done
    while true; do
        printf 'Number (empty or - to go back): ' >&2
        IFS= read -r answer || return 255
        [[ -n "${answer}" && "${answer}" != - ]] || return 1
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
    local title="$1" text="$2" size
    shift 2
    if ! menu::_has_whiptail; then
        menu::_checklist_plain "${title}" "${text}" "$@"
        return
    fi
    read -ra size <<< "$(menu::_size "$(($# / 3))" "${text}")"
    menu::_fit "${size[1]}" 3 "$@"
    menu::_whiptail --title "${title}" --cancel-button "${MENU_BACK}" --separate-output \
        --checklist -- "${text}" "${size[@]}" "${MENU_ROWS[@]}"
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
        IFS= read -r answer || return 255
        [[ "${answer}" != - ]] || return 1
        [[ -n "${answer// /}" ]] || break
        for word in ${answer//,/ }; do
            if [[ ! "${word}" =~ ^[0-9]{1,6}$ ]] || ((10#${word} < 1 || 10#${word} > ${#tags[@]})); then
                printf "'%s' is not one of the numbers\n" "${word}" >&2
                continue
            fi
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
    local size answer
    if ! menu::_has_whiptail; then
        printf '%s\n%s%s (- to go back): ' "$1" "${2%:}" "${3:+ [$3]}" >&2
        IFS= read -r answer || return 255
        [[ "${answer}" != - ]] || return 1
        printf '%s\n' "${answer:-${3:-}}"
        return
    fi
    read -ra size <<< "$(menu::_size 2)"
    menu::_whiptail --title "$1" --cancel-button "${MENU_BACK}" --inputbox -- "$2" "${size[0]}" "${size[1]}" "${3:-}"
}

# Break a text into lines that fit. Sets: MENU_TEXT, MENU_BOX (height and width), MENU_SCROLL.
menu::_set_text() { # <text>
    local size rows
    read -ra size <<< "$(menu::_size 1)"
    MENU_TEXT="$(fold -s -w "$((size[1] - 6))" <<< "$1")"
    rows="$(wc -l <<< "${MENU_TEXT}")"
    read -ra size <<< "$(menu::_size "${rows}")"
    MENU_SCROLL=() MENU_BOX=("$((size[0] - 2))" "${size[1]}")
    # A text that scrolls takes the keyboard until Tab is pressed, so only where it must.
    ((rows <= size[0] - 8)) || MENU_SCROLL=(--scrolltext)
}

# Ask yes or no; the default is No.
menu::confirm() { # <title> <text>
    local answer
    MENU_ASKED=yes
    if ! menu::_has_whiptail; then
        printf '%s\n%s [y/N]: ' "$1" "$2" >&2
        IFS= read -r answer || return 255
        [[ "${answer,,}" == y || "${answer,,}" == yes ]]
        return
    fi
    menu::_set_text "$2"
    menu::_whiptail --title "$1${MENU_SCROLL[0]:+: arrows scroll, Tab leads on}" --defaultno "${MENU_SCROLL[@]}" --yesno -- "${MENU_TEXT}" "${MENU_BOX[@]}"
}

# Show a text until Enter is pressed.
menu::message() { # <title> <text>
    if ! menu::_has_whiptail; then
        printf '%s\n%s\n' "$1" "$2" >&2
        return 0
    fi
    menu::_set_text "$2"
    menu::_whiptail --title "$1${MENU_SCROLL[0]:+: arrows scroll, Tab leads on}" "${MENU_SCROLL[@]}" --msgbox -- "${MENU_TEXT}" "${MENU_BOX[@]}"
}

# Lead through steps. Each is a function that asks one thing, keeps the answer itself, and returns 0 (go on), 1 (go back),
# 2 (there was nothing to ask: go on in the same direction) or 255 (leave). Returns: 0, or 1 or 255 when the person left.
# A step may be a walk itself: back from its first step is back to the step before it.
menu::walk() { # <step>...
    local steps=("$@") at=0 direction=1 status i first="${MENU_BACK}" asked=() MENU_BACK
    MENU_ASKED=yes
    while ((at < ${#steps[@]})); do
        MENU_BACK="${first}"
        for ((i = 0; i < at; i++)); do
            [[ -z "${asked[i]}" ]] || MENU_BACK=Back
        done
        status=0
        "${steps[at]}" || status=$?
        asked[at]=yes
        case "${status}" in
            0) direction=1 ;;
            1) direction=-1 ;;
            2) asked[at]='' ;;
            *) return 255 ;;
        esac
        at=$((at + direction))
        ((at >= 0)) || return 1
    done
}

# Has a dialogue led here, and can a gauge be shown of what follows?
menu::has_gauge() {
    [[ -n "${MENU_ASKED}" && -z "${CORE_QUIET}" ]] && core::is_interactive && menu::_has_whiptail
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
    grep -vE '^(step [0-9]+/|[0-9a-f]{12}: |Digest: |Status: |[a-z -]+: info: (fetching|preparing|building) )' \
        "${CORE_TEMP}/said" >&2 || true
    return "${status}"
}

# Show lines `PERCENT TEXT` from stdin as a gauge, with the seconds, until they end.
menu::_gauge() { # <title>
    local size
    read -ra size <<< "$(menu::_size 1)"
    # The lines that the text has at first are all that it is given.
    menu::_gauge_words | menu::_whiptail --title "$1" --gauge -- $'It begins.\n \n ' 10 "${size[1]}" 0 || true
}

menu::_gauge_words() {
    local line='' percent=0 text='' began="${SECONDS}" status
    while true; do
        status=0
        IFS= read -r -t 0.5 line || status=$?
        ((status == 0 || status > 128)) || break
        ((status != 0)) || percent="${line%% *}" text="${line#* }"
        # Whiptail keeps all keys from the terminal, though a gauge looks at none: Ctrl-C is given back.
        stty isig intr ^C 2> /dev/null < /dev/tty || true
        printf 'XXX\n%s\n%s\n \n%s s. Ctrl-C ends it cleanly.\nXXX\n' "${percent}" "${text:0:70}" \
            "$((SECONDS - began))"
    done
}

# Leave the command because the person cancelled a question; nothing was done.
menu::left() {
    core::info "left without doing anything"
    exit "${EXIT_LEFT}"
}
