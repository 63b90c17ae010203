# shellcheck shell=bash
# What DS01 puts into the system's folders: crontab, log rotation, login notice. They call the program by its path, so
# they are written for this installation, and go with it.
: "${PROJECT_ROOT:?set by install.sh}" "${INSTALL_USER?set by lib}" "${INSTALL_DRY_RUN?set by lib}"
# prefix, bin, config, state, log, system: see layout.bash
declare -A LAYOUT

# Files in config/, and below the system's folder.
readonly PARTS=(cron.d/ds01 logrotate.d/ds01 profile.d/ds01.sh)
# cron and logrotate pass such names by.
readonly PARTS_DISABLED=.disabled
PARTS_OURS=()

# Write the paths of this installation into the staged files that name the usual ones.
parts::render() { # <stage>
    local part key file words=() number=0 value
    local -A usual=([prefix]=/opt/ds01 [config]=/etc/ds01 [state]=/var/lib/ds01 [log]=/var/log/ds01)
    # First marks, then values: a value may hold what another pattern matches.
    for key in prefix config state log; do
        number=$((number + 1))
        words+=(-e "s#${usual[${key}]}#\\x01${number}\\x01#g")
    done
    number=0
    for key in prefix config state log; do
        number=$((number + 1))
        value="${LAYOUT[${key}]//\\/\\\\}"
        value="${value//&/\\&}"
        words+=(-e "s#\\x01${number}\\x01#${value//#/\\#}#g")
    done
    words+=(-e "s/^\\( *su root \\)docker\$/\\1$(system::engine_group)/")
    for part in "${PARTS[@]/#/config/}" lib/login-notice; do
        file="$1/${part}"
        [[ ! -f "${file}" ]] || sed -i "${words[@]}" -- "${file}"
    done
}

# Remember which of the system's files are as the installation in the prefix wrote them: those may be renewed.
parts::remember() {
    local part
    PARTS_OURS=()
    for part in "${PARTS[@]}"; do
        ! cmp -s -- "${LAYOUT[prefix]}/config/${part}" "${LAYOUT[system]}/${part}" || PARTS_OURS+=("${part}")
    done
}

# Put the files in place; what the administrator changed stays.
parts::install() {
    local part own source
    if [[ -z "${LAYOUT[system]}" ]]; then
        core::info "left out: crontab, log rotation and login notice, which are the system's"
        core::hint "call '${LAYOUT[bin]}/ds01-lifecycle' from a crontab, or idle containers are never stopped"
        return 0
    fi
    for part in "${PARTS[@]}"; do
        own="${LAYOUT[system]}/${part}"
        source="$(program::place "config/${part}")"
        [[ -f "${source}" ]] || continue
        if [[ ! -e "${own}" ]]; then
            install::act "make '${own}'" install -D -m 644 -- "${source}" "${own}"
        elif cmp -s -- "${source}" "${own}"; then
            continue
        elif [[ " ${PARTS_OURS[*]} " == *" ${part} "* ]]; then
            install::act "renew '${own}'" install -m 644 -- "${source}" "${own}"
        else
            core::info "kept your '${own}'; compare it with '${LAYOUT[prefix]}/config/${part}'"
        fi
    done
    parts::_check_cron
}

# Without a cron daemon nothing calls the lifecycle pass.
parts::_check_cron() {
    local program
    [[ -z "${INSTALL_DRY_RUN}" && "${LAYOUT[system]}" == /etc ]] || return 0
    for program in cron crond; do
        [[ -z "$(ps -C "${program}" -o pid= || true)" ]] || return 0
    done
    if [[ -d /run/systemd/system ]]; then
        install::act 'start cron, now and at every boot' systemctl --quiet enable --now cron
    else
        core::warn 'no cron daemon runs: idle containers are not stopped'
        core::hint "run 'sudo cron' after every boot"
    fi
}

# Take the files away. One that the administrator changed is kept beside them under a name that nothing reads.
parts::remove() {
    local part own
    [[ -n "${LAYOUT[system]}" ]] || return 0
    for part in "${PARTS[@]}"; do
        own="${LAYOUT[system]}/${part}"
        if [[ -e "${own}" ]] && cmp -s -- "${LAYOUT[prefix]}/config/${part}" "${own}"; then
            install::act "remove '${own}'" rm -f -- "${own}"
        elif [[ -e "${own}" ]] && grep -qF -e "${LAYOUT[prefix]}/" -e "${LAYOUT[log]}/" "${own}"; then
            install::act "keep your '${own}' as '${own##*/}${PARTS_DISABLED}'" mv -f -- "${own}" "${own}${PARTS_DISABLED}"
        fi
    done
    parts::_remove_folders
}

# Take away what parts::remove has kept.
parts::purge() {
    local part own
    [[ -n "${LAYOUT[system]}" ]] || return 0
    for part in "${PARTS[@]}"; do
        own="${LAYOUT[system]}/${part}${PARTS_DISABLED}"
        [[ ! -e "${own}" ]] || install::act "remove '${own}'" rm -f -- "${own}"
    done
    parts::_remove_folders
}

# Remove folders that nothing but DS01 needed.
parts::_remove_folders() {
    [[ -n "${INSTALL_DRY_RUN}" || "${LAYOUT[system]}" == /etc ]] \
        || rmdir -- "${LAYOUT[system]}"/{cron.d,logrotate.d,profile.d} "${LAYOUT[system]}" 2> /dev/null || true
}
