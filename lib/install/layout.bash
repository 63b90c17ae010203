# shellcheck shell=bash
# Where an installation keeps its parts, what it may not touch, and what it says it does.
: "${PROJECT_ROOT:?set by install.sh}" "${EXIT_REFUSED:?}" "${EXIT_PREREQUISITE:?}"

# prefix, bin, config, state, log; system is empty where nothing goes into the system's folders
declare -A LAYOUT=()
INSTALL_USER=''
# shellcheck disable=SC2034 # for the other files of the installer
# Debian packages and the engine are the installer's business too; empty for --no-system and --user.
INSTALL_SYSTEM=yes
INSTALL_DRY_RUN=''
INSTALL_CHANGES=0
# What keeps the installation from starting, and the Debian packages that would help.
INSTALL_PROBLEMS=()
INSTALL_MISSING=()

# Do one step that changes something, or print it where only that is wanted.
install::act() { # <text> <command> [<word>...]
    INSTALL_CHANGES=$((INSTALL_CHANGES + 1))
    if [[ -n "${INSTALL_DRY_RUN}" ]]; then
        printf 'would %s\n' "$1"
        return 0
    fi
    core::info "$1"
    shift
    "$@"
}

# Fill in what no option named: what the installation in the prefix says, else the defaults.
layout::complete() {
    local share="${XDG_DATA_HOME:-${HOME:-/nonexistent}/.local/share}" key
    local state="${XDG_STATE_HOME:-${HOME:-/nonexistent}/.local/state}/ds01"
    local -A default=([prefix]=/opt/ds01 [bin]=/usr/local/bin [config]=/etc/ds01 [state]=/var/lib/ds01 [log]=/var/log/ds01)
    if [[ ! -e "${PROJECT_ROOT}/.git" && -e "${PROJECT_ROOT}/paths.json" ]]; then
        # The installed copy knows where it lies.
        default[prefix]="${PROJECT_ROOT}"
    fi
    if [[ -n "${INSTALL_USER}" ]]; then
        # shellcheck disable=SC2034 # for the other files of the installer
        INSTALL_SYSTEM=''
        [[ -n "${HOME:-}" ]] || core::die "${EXIT_PREREQUISITE}" "'HOME' is not set"
        default=([prefix]="${share}/ds01" [bin]="${HOME}/.local/bin"
            [config]="${XDG_CONFIG_HOME:-${HOME}/.config}/ds01" [state]="${state}" [log]="${state}/log")
    fi
    default[system]="${INSTALL_SYSTEM:+/etc}"
    : "${LAYOUT[prefix]:="${default[prefix]}"}"
    for key in bin config state log; do
        [[ -z "${LAYOUT[${key}]:-}" ]] || continue
        LAYOUT["${key}"]="$(layout::recorded "${key}")"
        [[ -n "${LAYOUT[${key}]}" ]] || LAYOUT["${key}"]="${default[${key}]}"
    done
    # An installation that left the system's folders alone goes on doing so.
    [[ -n "${LAYOUT[system]:-}" ]] || LAYOUT[system]="$(layout::recorded system "${default[system]}")"
}

# What the installation in the prefix recorded about itself. Prints: a value; the default, or nothing, where none is.
layout::recorded() { # <key> [<default>]
    local file="${LAYOUT[prefix]}/paths.json"
    if [[ ! -r "${file}" ]] || ! type -P jq > /dev/null; then
        printf '%s' "${2:-}"
        return 0
    fi
    jq -r --arg key "$1" --arg default "${2:-}" '.[if $key == "config" then "etc" else $key end] // $default' \
        < "${file}" 2> /dev/null || true
}

# Is there an installation of DS01 in a folder?
layout::is_ours() { # <folder>
    [[ -f "$1/VERSION" && -f "$1/lib/run-command" && -f "$1/.manifest" ]]
}

# Leave unless the folders may be written.
layout::check_rights() {
    local key keys=(system)
    ((EUID == 0)) || keys=(prefix bin config state log system)
    [[ -n "${INSTALL_DRY_RUN}" ]] || for key in "${keys[@]}"; do
        [[ -z "${LAYOUT[${key}]}" ]] || layout::_is_writable "${LAYOUT[${key}]}" \
            || core::die "${EXIT_REFUSED}" "no right to write '${LAYOUT[${key}]}'" \
                "run 'sudo ./install.sh', or './install.sh --user' for yourself alone"
    done
    for key in prefix config state log; do
        layout::_check_place "${key}"
    done
    ((${#INSTALL_PROBLEMS[@]} == 0)) || layout::_complain
}

# May this process write a folder, or make it?
layout::_is_writable() { # <folder>
    local folder="$1"
    while [[ ! -e "${folder}" ]]; do
        folder="$(dirname -- "${folder}")"
    done
    [[ -d "${folder}" && -w "${folder}" ]]
}

# Note a folder that belongs to the system, to a person, or to something else.
layout::_check_place() { # <key>
    local folder="${LAYOUT[$1]}" home
    home="$(readlink -m -- "${HOME:-/root}")"
    case "${folder}" in
        / | /bin | /boot | /dev | /etc | /home | /lib | /lib64 | /media | /mnt | /opt | /proc | /root | /run | /sbin | /srv | \
            /sys | /tmp | /usr | /usr/bin | /usr/lib | /usr/local | /usr/local/* | /usr/sbin | /usr/share | /var | /var/lib | \
            /var/log | /var/tmp | "${home}" | "${home}/.config" | "${home}/.local" | "${home}/.local/share" | \
            "${home}/.local/state")
            case "${folder}" in
                /usr/local/bin | /usr/local/lib | /usr/local/sbin | /usr/local/share | /usr/local/etc) ;;
                /usr/local/*) return 0 ;;
                *) ;;
            esac
            INSTALL_PROBLEMS+=("'${folder}' holds more than DS01: name a folder of its own")
            return 0
            ;;
        *) ;;
    esac
    [[ -e "${folder}" ]] || return 0
    if [[ ! -d "${folder}" ]]; then
        INSTALL_PROBLEMS+=("'${folder}' is not a folder")
    elif ! layout::_is_known "$1" "${folder}"; then
        INSTALL_PROBLEMS+=("'${folder}' holds something that is not DS01's")
    fi
}

# Is a folder empty, or does it hold what DS01 keeps in such a place?
layout::_is_known() { # <key> <folder>
    local names=() name
    [[ -n "$(ls -A -- "$2" 2> /dev/null || true)" ]] || return 0
    case "$1" in
        prefix) layout::is_ours "$2" && return 0 || return 1 ;;
        config) names=(ds01.yaml resource-limits.yaml packages.yaml site-images.repo hooks.d) ;;
        *) names=(container-metadata gpu-state.json log mlc sessions events.jsonl gpu-allocations.log dockerd.log .ds01) ;;
    esac
    for name in "${names[@]}"; do
        [[ ! -e "$2/${name}" ]] || return 0
    done
    return 1
}

# Find everything that is in the way, then say all of it at once and leave, or go on.
layout::check() {
    local file link
    layout::check_rights
    for file in "${PROJECT_ROOT}"/bin/*; do
        link="${LAYOUT[bin]}/${file##*/}"
        [[ -e "${link}" || -L "${link}" ]] || continue
        [[ "$(readlink -- "${link}")" == "${LAYOUT[prefix]}/bin/"* ]] \
            || INSTALL_PROBLEMS+=("'${link}' is there and is not of this installation")
    done
    system::find_missing
    ((${#INSTALL_PROBLEMS[@]} == 0)) || layout::_complain
}

layout::_complain() {
    local problem status="${EXIT_REFUSED}"
    for problem in "${INSTALL_PROBLEMS[@]}"; do
        core::error "${problem}"
    done
    if ((${#INSTALL_MISSING[@]} > 0)); then
        status="${EXIT_PREREQUISITE}"
        core::hint "run 'sudo apt-get install ${INSTALL_MISSING[*]}'"
    fi
    exit "${status}"
}
