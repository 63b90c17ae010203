# shellcheck shell=bash
# Questions to a person: the only file that names whiptail. Every question returns its answer on stdout and the status
# 0 (chosen), 1 (Cancel: go back) or 255 (Esc: leave). Without whiptail the same questions are plain numbered prompts.
: "${PROJECT_ROOT:?set by lib/run-command}" "${EXIT_LEFT:?}"

# The height and width for a dialogue, within the terminal. Prints: height, width, rows for a list.
menu::_size() { # <rows-wanted>
    local lines=24 columns=80
    read -r lines columns < <(stty size < /dev/stdin 2> /dev/null) || true
    ((lines > 10)) || lines=24
    ((columns > 30)) || columns=80
    local rows="$1" height width
    ((rows <= lines - 10)) || rows=$((lines - 10))
    ((rows > 0)) || rows=1
    height=$((rows + 9))
    ((height <= lines)) || height="${lines}"
    width=$((columns - 4))
    ((width <= 100)) || width=100
    printf '%s %s %s\n' "${height}" "${width}" "${rows}"
}

menu::_has_whiptail() {
    command -v whiptail > /dev/null
}

# Run one dialogue; the answer comes on stdout because whiptail draws on the terminal's stdout and answers on stderr.
menu::_whiptail() { # <whiptail-words>...
    whiptail --backtitle DS01 "$@" 3>&1 1>&2 2>&3
}

# Choose one of several things. Prints: the tag chosen.
menu::select() { # <title> <text> <tag> <description> [<tag> <description>]...
    local title="$1" text="$2" size
    shift 2
    if ! menu::_has_whiptail; then
        menu::_select_plain "${title}" "${text}" "$@"
        return
    fi
    read -ra size <<< "$(menu::_size "$(($# / 2))")"
    menu::_whiptail --title "${title}" --menu "${text}" "${size[@]}" "$@"
}

menu::_select_plain() { # <title> <text> <tag> <description>...
    local answer index tags=()
    printf '%s\n%s\n' "$1" "$2" >&2
    shift 2
    while (($# > 1)); do
        tags+=("$1")
        printf '  %d) %s  %s\n' "${#tags[@]}" "$1" "$2" >&2
        shift 2
    done
    while true; do
        printf 'Number (empty to go back): ' >&2
        IFS= read -r answer || return 255
        [[ -n "${answer}" ]] || return 1
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
        local pairs=()
        while (($# > 2)); do
            pairs+=("$1" "$2")
            shift 3
        done
        menu::_select_plain "${title}" "${text}" "${pairs[@]}"
        return
    fi
    read -ra size <<< "$(menu::_size "$(($# / 3))")"
    menu::_whiptail --title "${title}" --separate-output --checklist "${text}" "${size[@]}" "$@"
}

# Ask for a line of text. Prints: the line.
menu::input() { # <title> <text> [<default>]
    local size answer
    if ! menu::_has_whiptail; then
        printf '%s\n%s [%s]: ' "$1" "$2" "${3:-}" >&2
        IFS= read -r answer || return 255
        printf '%s\n' "${answer:-${3:-}}"
        return
    fi
    read -ra size <<< "$(menu::_size 2)"
    menu::_whiptail --title "$1" --inputbox "$2" "${size[0]}" "${size[1]}" "${3:-}"
}

# Ask yes or no; the default is No.
menu::confirm() { # <title> <text>
    local size answer line rows=1
    if ! menu::_has_whiptail; then
        printf '%s\n%s [y/N]: ' "$1" "$2" >&2
        IFS= read -r answer || return 255
        [[ "${answer,,}" == y || "${answer,,}" == yes ]]
        return
    fi
    # Whiptail wraps at the width of its box; a line counts as often as it will be broken.
    while IFS= read -r line; do
        rows=$((rows + 1 + ${#line} / 68))
    done <<< "$2"
    read -ra size <<< "$(menu::_size "${rows}")"
    menu::_whiptail --title "$1" --defaultno --scrolltext --yesno "$2" "${size[0]}" "${size[1]}"
}

# Leave the command because the person cancelled a question; nothing was done.
menu::left() {
    core::info "left without doing anything"
    exit "${EXIT_LEFT}"
}
