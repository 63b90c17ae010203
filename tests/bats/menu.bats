#!/usr/bin/env bats
# The dialogues themselves: whiptail in a real terminal, and the same questions as plain prompts.

load helper

setup() {
    setup_ds01
    cat > "${BATS_TEST_TMPDIR}/ask" << 'END'
#!/usr/bin/env bash
set -euo pipefail
shopt -s inherit_errexit
PROJECT_ROOT=$1 COMMAND_NAME=ask
source "$1/lib/core.bash"
source "$1/lib/menu.bash"
source "$1/lib/menu_files.bash"
colour='' fruits='' word=''
colour() { colour="$(menu::select --default "${colour}" Colour "Which one?" red "like a rose" blue "$(printf 'x%.0s' {1..200})" grün "wie Gras")"; }
nothing() { return 2; }
fruits() { fruits="$(menu::checklist Fruits "Which ones?" apple "round" on pear "not round" off)"; }
word() { word="$(menu::input Word "A word:" "${word:-none}")"; }
words() { word="$(menu::input Words "Some words (empty for none):" 'old ones')"; }
sure() { menu::confirm Sure "$(printf 'Really so? %.0s' {1..150})"; }
told() { menu::message Told "$(printf 'It is so. %.0s' {1..60})"; }
many() { colour="$(menu::select Many "Which one?" $(for i in $(seq 400); do printf 'entry-%s text-%s ' "$i" "$i"; done))"; }
file() { word="$(menu::file File "${HOME}" .tar)"; }
long() { colour="$(menu::select --default "${1:-${LONG}-2}" "The title of a ${LONG}" "Which of ${LONG}?" short "what it is" "${LONG}-1" "$(printf 'y%.0s' {1..80})" "${LONG}-2" last)"; }
longs() { fruits="$(menu::checklist "${LONG}" "Which ones?" "${LONG}-1" "one of them" on "x-${LONG}" "$(printf 'y%.0s' {1..80})" off short last on)"; }
twins() { colour="$(menu::select Twins "Which one?" "${LONG}1${LONG}" one "${LONG}2${LONG}" "$(printf 'y%.0s' {1..80})" "${LONG}3${LONG}" last)"; }
folders() { word="$(menu::folder Folder "${HOME}")"; }
inner() { menu::walk fruits word; }
lines() { while IFS= read -r line; do line="${line#step }" && printf '%s\n' "${line/\/100/}"; done; }
work() { sleep "$1"; printf 'step 30/100 of the first part\n' >&2; bash -c 'until [[ -e "$0" ]] || ((SECONDS > 60)); do sleep 0.1; done' "${OUT}.go"; printf 'ask: warning: told afterwards\n' >&2; return "$2"; }
gauge() { MENU_ASKED=yes; trap 'rm -rf "${CORE_TEMP}"' EXIT; menu::work Title lines work 1 "$1"; }
gauge_done() { gauge 0; }
folder() { word="$(menu::folder Folder "$2")"; }
status=0
menu::walk ${2:-colour nothing fruits word} || status=$?
printf 'status=%s colour=%s fruits=%s word=%s\n' "${status}" "${colour}" "${fruits//$'\n'/+}" "${word}"
END
    chmod +x "${BATS_TEST_TMPDIR}/ask"
}

teardown() {
    terminal_stop
}

# Start the questions in a terminal; what they answer is written to a file.
ask() { # [<steps>]
    terminal_start bash -c '"$0" "$@" > "${OUT}"' "${BATS_TEST_TMPDIR}/ask" "${ROOT}" "$@"
}

answer() {
    terminal_status > /dev/null && cat -- "${OUT}"
}

without_whiptail() {
    mkdir -p "${BATS_TEST_TMPDIR}/bin"
    local program
    for program in bash env stty dirname basename seq cat; do
        ln -sf "$(type -P "${program}")" "${BATS_TEST_TMPDIR}/bin/${program}"
    done
    printf '%s\n' "${BATS_TEST_TMPDIR}/bin"
}

@test "menu: a walk goes on, back with the answers kept, and passes over what has nothing to ask" {
    export OUT="${BATS_TEST_TMPDIR}/out"
    ask
    wait_for 10 terminal_shows 'Which one?'
    terminal_screen | grep -qF '<Cancel>'
    terminal_keys Down Enter
    wait_for 10 terminal_shows 'Which ones? (space marks)'
    terminal_screen | grep -qF '<Back>'
    # Back: Tab leads to the buttons, over Ok to Back.
    terminal_keys Tab Tab Enter
    wait_for 10 terminal_shows 'Which one?'
    terminal_keys Enter
    wait_for 10 terminal_shows 'Which ones?'
    terminal_keys Down Space Enter
    wait_for 10 terminal_shows 'A word:'
    terminal_keys Enter
    [[ "$(answer)" == 'status=0 colour=blue fruits=apple+pear word=none' ]]
}

@test "menu: Esc leaves a walk, Cancel on its first step too" {
    export OUT="${BATS_TEST_TMPDIR}/out"
    ask
    wait_for 10 terminal_shows 'Which one?'
    terminal_keys Enter
    wait_for 10 terminal_shows 'Which ones?'
    terminal_keys Escape
    [[ "$(answer)" == 'status=255 colour=red '* ]]
    terminal_stop
    rm -f "${BATS_TEST_TMPDIR}/terminal-status"
    ask
    wait_for 10 terminal_shows 'Which one?'
    terminal_keys Tab Tab Enter
    [[ "$(answer)" == 'status=1 '* ]]
}

@test "menu: long texts, other alphabets and hundreds of entries fit in 80 by 24, and in what it is resized to" {
    export OUT="${BATS_TEST_TMPDIR}/out"
    ask
    wait_for 10 terminal_shows 'grün'
    terminal_screen | grep -qE 'blue x+…'
    terminal_keys Escape
    terminal_status
    terminal_stop
    rm -f "${BATS_TEST_TMPDIR}/terminal-status"
    ask many
    wait_for 10 terminal_shows 'entry-1 '
    tmux -L "${TERMINAL}" resize-window -t t -x 100 -y 40
    terminal_keys End Enter
    [[ "$(answer)" == *'colour=entry-400 '* ]]
}

@test "menu: names as long as they may be stay within the frame, and are whole in the answer" {
    local columns
    LONG="$(printf 'name-%.0s' {1..12})" OUT="${BATS_TEST_TMPDIR}/out"
    export LONG OUT
    for columns in 80 60; do
        rm -f "${BATS_TEST_TMPDIR}/terminal-status"
        ask_in "${columns}" 24 'long longs'
        wait_for 10 terminal_shows 'what it is'
        terminal_is_whole "$((columns - 4))"
        rows_are 'name-name.*…[a-z-]*-1  *y+…' 'name-name.*…[a-z-]*-2  *last' 'short  *what it is'
        terminal_keys Up Down Enter
        wait_for 10 terminal_shows 'one of them'
        terminal_is_whole "$((columns - 4))"
        rows_are '\[\*\] name-name.*…[a-z-]*-1 ' '\[ \] x-name.*…[a-z-]*-  *y+…' '\[\*\] short  *last'
        terminal_keys Down Space Enter
        [[ "$(answer)" == "status=0 colour=${LONG}-2 fruits=${LONG}-1+x-${LONG}+short "* ]]
        terminal_stop
    done
}

# Does the box have these rows, each from one side of the frame to the other?
rows_are() { # <pattern>...
    local pattern
    for pattern in "$@"; do
        terminal_screen | grep -qE "│ *${pattern}.*│" || { printf 'no row: %s\n' "${pattern}" && terminal_screen && return 1; }
    done
}

@test "menu: long names that differ in the middle only are told apart" {
    LONG="$(printf 'name-%.0s' {1..12})" OUT="${BATS_TEST_TMPDIR}/out"
    export LONG OUT
    ask twins
    wait_for 10 terminal_shows 'last'
    rows_are 'name-.*[a-z-]…[a-z-].* one' 'name-.*…2….* y+…' 'name-.*…3….* last'
    terminal_keys Down Enter
    [[ "$(answer)" == "status=0 colour=${LONG}2${LONG} "* ]]
}

@test "menu: a folder with a name of 120 letters is walked into, and back" {
    local name
    name="$(printf 'ordner-ü%.0s' {1..15})"
    export OUT="${BATS_TEST_TMPDIR}/out"
    mkdir -p "${HOME}/${name}/inside" "${HOME}/zoo"
    ask folders
    wait_for 10 terminal_shows 'zoo/'
    terminal_is_whole 76
    rows_are 'ordner-ü.*….*ordner-ü/ *' 'zoo/ *' '\.\.  *the folder above'
    terminal_keys Down Down Enter
    wait_for 10 terminal_shows 'inside/'
    terminal_is_whole 76
    # Back above, its row is marked.
    terminal_keys Down Enter
    wait_for 10 terminal_shows 'zoo/'
    terminal_keys Enter
    wait_for 10 terminal_shows 'inside/'
    terminal_keys Enter
    [[ "$(answer)" == *"word=$(cd "${HOME}" && pwd -P)/${name}" ]]
}

@test "menu: each kind of question is drawn anew where the terminal becomes too small for it" {
    local kind
    export OUT="${BATS_TEST_TMPDIR}/out"
    for kind in colour fruits word sure told; do
        rm -f "${BATS_TEST_TMPDIR}/terminal-status"
        terminal_start bash -c 'until (($(tput lines) == 40)); do sleep 0.1; done; "$0" "$@" > "${OUT}"' \
            "${BATS_TEST_TMPDIR}/ask" "${ROOT}" "${kind}"
        tmux -L "${TERMINAL}" resize-window -t t -x 120 -y 40
        wait_for 10 terminal_is_whole 100
        tmux -L "${TERMINAL}" resize-window -t t -x 80 -y 24
        wait_for 10 terminal_is_whole 76
        terminal_keys Enter
        [[ "$(answer)" == 'status='[01]' '* ]]
        terminal_stop
    done
}

# Is there one box of that width, with its buttons?
terminal_is_whole() { # <width>
    local screen
    screen="$(terminal_screen)"
    [[ "$(grep -o '┌.*┐' <<< "${screen}" | wc -m)" == "$(($1 + 1))" && "$(grep -c '└.*┘' <<< "${screen}")" == 1 ]] \
        && grep -qE '<(Ok|Yes)>' <<< "${screen}"
}

# Wait for a size, then ask; what is answered is written to a file.
ask_in() { # <columns> <lines> <steps>
    terminal_start bash -c 'size="$1" && shift && until [[ "$(stty size)" == "${size}" ]]; do sleep 0.1; done
        "$0" "$@" > "${OUT}"' "${BATS_TEST_TMPDIR}/ask" "$2 $1" "${ROOT}" "$3"
    tmux -L "${TERMINAL}" resize-window -t t -x "$1" -y "$2"
}

@test "menu: each kind of question is whole in a large terminal and in a small one" {
    local kind columns lines
    export OUT="${BATS_TEST_TMPDIR}/out"
    while read -r columns lines; do
        for kind in colour fruits word sure told many; do
            rm -f "${BATS_TEST_TMPDIR}/terminal-status"
            ask_in "${columns}" "${lines}" "${kind}"
            wait_for 10 terminal_is_whole "$((columns - 4 < 100 ? columns - 4 : 100))"
            terminal_keys Escape
            [[ "$(answer)" == 'status='* ]]
            terminal_stop
        done
        rm -f "${BATS_TEST_TMPDIR}/terminal-status"
        ask_in "${columns}" "${lines}" gauge_done
        wait_for 10 terminal_shows 'of the first part'
        [[ "$(terminal_screen | grep -o '┌.*┐' | wc -m)" == "$((columns - 4 < 76 ? columns - 3 : 77))" ]] \
            || { terminal_screen && return 1; }
        touch "${OUT}.go"
        [[ "$(answer)" == 'status=0 '* ]]
        rm -- "${OUT}.go"
        terminal_stop
    done <<< $'132 50\n60 20'
}

@test "menu: a terminal without room, or that terminfo does not know, gets plain lines" {
    export OUT="${BATS_TEST_TMPDIR}/out"
    ask_in 60 12 colour
    wait_for 10 terminal_shows 'Number (empty or - to go back):'
    terminal_keys 2 Enter
    [[ "$(answer)" == 'status=0 colour=blue '* ]]
    terminal_stop
    rm -f "${BATS_TEST_TMPDIR}/terminal-status"
    terminal_start bash -c 'TERM=no-such-terminal "$0" "$@" > "${OUT}"' "${BATS_TEST_TMPDIR}/ask" "${ROOT}"
    wait_for 10 terminal_shows 'Number (empty or - to go back):'
    terminal_keys C-d
    [[ "$(answer)" == 'status=255 '* ]]
}

@test "menu: nobody is asked where the terminal is dumb or has no name" {
    local words
    for words in TERM=dumb TERM= '-u TERM'; do
        terminal_start_and_stay bash -c 'env '"${words}"' "$0"' "${BIN}/project-init"
        wait_for 10 terminal_shows 'project-init: error: missing NAME'
        [[ "$(terminal_status)" == 2 ]]
        terminal_stop
        rm -f "${BATS_TEST_TMPDIR}/terminal-status"
    done
}

@test "menu: draws in a terminal that is somebody else's, with or without /dev/tty" {
    local words
    ((UID == 0)) || skip "needs root"
    export OUT="${BATS_TEST_TMPDIR}/out" TMPDIR=/tmp
    chmod a+x "${BATS_RUN_TMPDIR}" "${BATS_TEST_TMPDIR%/*}" "${BATS_TEST_TMPDIR}"
    for words in 'runuser -u nobody --' 'setsid --wait runuser -u nobody --'; do
        rm -f "${BATS_TEST_TMPDIR}/terminal-status"
        terminal_start bash -c "${words}"' "$0" "$@" > "${OUT}"' "${BATS_TEST_TMPDIR}/ask" "${ROOT}"
        wait_for 10 terminal_shows '<Cancel>'
        terminal_keys Down Enter
        wait_for 10 terminal_shows 'Which ones?'
        terminal_keys Escape
        [[ "$(answer)" == 'status=255 colour=blue '* ]]
        terminal_stop
    done
}

came_out() { # <text>
    grep -qF -- "$1" "${BATS_TEST_TMPDIR}/typed"
}

@test "menu: a terminal without a size is taken for one of 80 by 24" {
    local words
    printf -v words '%q ' "${BATS_TEST_TMPDIR}/ask" "${ROOT}" colour
    : > "${BATS_TEST_TMPDIR}/typed"
    # Down, Enter, once the box is there.
    { wait_for 20 came_out '┘' && printf '\e[B\r' && wait_for 20 came_out 'status='; } | TERM=xterm script --quiet --return --command "stty size; ${words}" /dev/null > "${BATS_TEST_TMPDIR}/typed"
    grep -q '^0 0' "${BATS_TEST_TMPDIR}/typed"
    grep -qF "┌$(printf '─%.0s' {1..32})┤" "${BATS_TEST_TMPDIR}/typed" || { cat -v "${BATS_TEST_TMPDIR}/typed" && return 1; }
    grep -q 'status=0 colour=blue ' "${BATS_TEST_TMPDIR}/typed"
}

@test "menu: an administrator's NEWT_COLORS wins" {
    export OUT="${BATS_TEST_TMPDIR}/out"
    NEWT_COLORS='root=white,magenta window=white,magenta' ask
    wait_for 10 terminal_shows 'Which one?'
    tmux -L "${TERMINAL}" capture-pane -e -p -t t | grep -q $'\e\\[[0-9;]*45m'
}

@test "menu: NO_COLOR draws without colours, otherwise every part has both of its own" {
    export OUT="${BATS_TEST_TMPDIR}/out"
    ask
    wait_for 10 terminal_shows 'Which one?'
    tmux -L "${TERMINAL}" capture-pane -e -p -t t | grep -q $'\e\\[[0-9;]*4[0-7]m'
    terminal_stop
    rm -f "${BATS_TEST_TMPDIR}/terminal-status"
    NO_COLOR=1 ask
    wait_for 10 terminal_shows 'Which one?'
    ! tmux -L "${TERMINAL}" capture-pane -e -p -t t | grep -q $'\e\\[[0-9;]*4[0-7]m' || false
}

@test "menu: a folder is found by walking through folders" {
    export OUT="${BATS_TEST_TMPDIR}/out"
    mkdir -p "${HOME}/data sets/images"
    sed -i 's|"$2")"; }|"${HOME}")"; }|' "${BATS_TEST_TMPDIR}/ask"
    ask folder
    wait_for 10 terminal_shows 'data sets/'
    terminal_keys Down Down Enter
    wait_for 10 terminal_shows 'images/'
    terminal_keys Enter
    [[ "$(answer)" == *"word=$(cd "${HOME}" && pwd -P)/data sets" ]]
}

@test "menu: a file is found by walking through folders, or by its path" {
    export OUT="${BATS_TEST_TMPDIR}/out"
    mkdir -p "${HOME}/-odd folder"
    touch "${HOME}/-odd folder/ä b.tar" "${HOME}/-odd folder/other.txt" "${HOME}/other.txt"
    ask file
    wait_for 10 terminal_shows '-odd folder/'
    terminal_keys Down Enter
    wait_for 10 terminal_shows 'ä b.tar'
    ! terminal_shows other.txt || false
    terminal_keys Down Enter
    [[ "$(answer)" == *"word=$(cd "${HOME}" && pwd -P)/-odd folder/ä b.tar" ]]
    terminal_stop
    rm -f "${BATS_TEST_TMPDIR}/terminal-status"
    ask file
    wait_for 10 terminal_shows 'type a path'
    terminal_keys End Enter
    wait_for 10 terminal_shows 'Path of the file:'
    terminal_keys C-u nowhere Enter
    wait_for 10 terminal_shows "There is no file 'nowhere'"
    terminal_keys Enter
    wait_for 10 terminal_shows 'type a path'
    terminal_keys End Enter
    wait_for 10 terminal_shows 'Path of the file:'
    # What was typed is kept, to be mended.
    terminal_shows nowhere
    terminal_keys C-u "${HOME}/other.txt" Enter
    [[ "$(answer)" == *"word=$(cd "${HOME}" && pwd -P)/other.txt" ]]
}

@test "menu: a walk within a walk leads back to the step before it, and Cancel stands where nothing was asked yet" {
    export OUT="${BATS_TEST_TMPDIR}/out"
    ask 'nothing colour inner'
    wait_for 10 terminal_shows 'Which one?'
    terminal_shows '<Cancel>'
    terminal_keys Down Enter
    wait_for 10 terminal_shows 'Which ones?'
    terminal_shows '<Back>'
    terminal_keys Tab Tab Enter
    wait_for 10 terminal_shows 'Which one?'
    terminal_keys Enter
    wait_for 10 terminal_shows 'Which ones?'
    terminal_keys Enter
    wait_for 10 terminal_shows 'A word:'
    terminal_keys Enter
    [[ "$(answer)" == 'status=0 colour=blue fruits=apple word=none' ]]
}

@test "menu: a gauge shows how far long work is, and tells afterwards what was said" {
    export OUT="${BATS_TEST_TMPDIR}/out"
    terminal_start_and_stay bash -c '"$0" "$@" > "${OUT}"' "${BATS_TEST_TMPDIR}/ask" "${ROOT}" gauge_done
    wait_for 10 terminal_shows 'of the first part'
    wait_for 5 terminal_shows '30%'
    terminal_shows 'Ctrl-C ends it'
    ! terminal_shows 'told afterwards' || false
    touch "${OUT}.go"
    wait_for 10 terminal_shows 'ask: warning: told afterwards'
    ! terminal_shows 'step 30' || false
    [[ "$(answer)" == 'status=0 '* ]]
}

@test "menu: a line that comes in pieces is one line in a gauge, however long a piece waits" {
    local PROJECT_ROOT="${ROOT}" COMMAND_NAME=ask
    source "${ROOT}/lib/core.bash"
    source "${ROOT}/lib/menu.bash"
    MENU_BOX=(10 76)
    run -0 menu::_gauge_words < <(printf '3' && sleep 0.8 && printf '0 of the' && sleep 0.8 && printf ' first part\n40 last\n')
    [[ "${output}" == *$'XXX\n30\nof the first part\n'*$'XXX\n40\nlast\n'* ]]
    [[ "$(grep -A 1 -x XXX <<< "${output}" | grep -xE '[0-9]+' | sort -u)" == $'0\n30\n40' ]]
    ! grep -xE 'first part|0 of the|of the' <<< "${output}" || return 1
}

@test "menu: Ctrl-C ends the work behind a gauge, and leaves the terminal as it was" {
    export OUT="${BATS_TEST_TMPDIR}/out"
    terminal_start_and_stay bash -c 'stty -g > "$0.before"; "$0" "$@" > "${OUT}"; stty -g > "$0.after"' \
        "${BATS_TEST_TMPDIR}/ask" "${ROOT}" gauge_done
    wait_for 10 terminal_shows 'of the first part'
    # Once the gauge has given the key back that whiptail takes at its start.
    wait_for 10 terminal_shows ' 3 s. Ctrl-C'
    terminal_keys C-c
    wait_for 10 test -s "${BATS_TEST_TMPDIR}/ask.after"
    [[ "$(< "${OUT}")" == 'status=255 '* ]]
    diff "${BATS_TEST_TMPDIR}/ask.before" "${BATS_TEST_TMPDIR}/ask.after"
    ! terminal_shows '┌' || false
}

@test "menu: without whiptail the same questions are plain prompts" {
    local path
    path="$(without_whiptail)"
    run -0 --separate-stderr env "PATH=${path}" bash "${BATS_TEST_TMPDIR}/ask" "${ROOT}" <<< $'9\n2\n2\n\nhello'
    [[ "${output}" == 'status=0 colour=blue fruits=apple+pear word=hello' ]]
    [[ "${stderr}" == *"'9' is not one of the numbers"* ]]
    # So has a blank where nothing is an answer too.
    run -0 --separate-stderr env "PATH=${path}" bash "${BATS_TEST_TMPDIR}/ask" "${ROOT}" words <<< ' '
    [[ "${output}" == *' word=' && "${stderr}" == *' [old ones] (a blank clears it, - to go back):'* ]]
    run -0 --separate-stderr env "PATH=${path}" bash "${BATS_TEST_TMPDIR}/ask" "${ROOT}" words <<< ''
    [[ "${output}" == *' word=old ones' ]]
    # An empty line takes the row that was chosen before; where none was, it goes back.
    run -0 --separate-stderr env "PATH=${path}" bash "${BATS_TEST_TMPDIR}/ask" "${ROOT}" <<< $'2\n-\n\n2\n\nhello'
    [[ "${output}" == 'status=0 colour=blue fruits=apple+pear word=hello' ]]
    [[ "${stderr}" == *'Number (empty or - to go back): '*$'\n* 2) blue '*'Number (Enter for *, - to go back): '* ]]
    run -0 --separate-stderr env "PATH=${path}" bash "${BATS_TEST_TMPDIR}/ask" "${ROOT}" <<< ''
    [[ "${output}" == 'status=1 '* ]]
    # Where one of several numbers is wrong, none is taken.
    run -0 --separate-stderr env "PATH=${path}" bash "${BATS_TEST_TMPDIR}/ask" "${ROOT}" fruits <<< $'1 2 9\n2,1\n'
    [[ "${output}" == 'status=0 colour= fruits=pear '* && "${stderr}" == *"'9' is not one of the numbers"* ]]
    [[ "${stderr}" != *space* ]]
    # An empty line goes back from a list, `-` from a check list and a line of text; the end of the input leaves.
    run -0 --separate-stderr env "PATH=${path}" bash "${BATS_TEST_TMPDIR}/ask" "${ROOT}" <<< $'1\n-\n2\n1\n'
    [[ "${output}" == 'status=255 colour=blue fruits= word=' ]]
    run -0 --separate-stderr env "PATH=${path}" bash "${BATS_TEST_TMPDIR}/ask" "${ROOT}" <<< $'1\n\n-\n2\n\nlast'
    [[ "${output}" == 'status=0 colour=red fruits=apple+pear word=last' ]]
}
