# shellcheck shell=bash
# Uninstalling: what install.sh made goes, and nothing else.
: "${EXIT_NOT_FOUND:?}" "${INSTALL_DRY_RUN?set by lib}" "${INSTALL_CHANGES?set by lib}"
# prefix, bin, config, state, log: see layout.bash
declare -A LAYOUT

# Remove the program; with a purge, configuration and records too.
remove::all() { # <purge: yes or empty>
    local key left
    if [[ -d "${LAYOUT[prefix]}" ]]; then
        remove::_say_containers
        share::unlink
        remove::_links
        parts::remove
        install::act "remove '${LAYOUT[prefix]}'" remove::_program
    elif [[ -z "$1" ]]; then
        core::die "${EXIT_NOT_FOUND}" "DS01 is not installed in '${LAYOUT[prefix]}'" \
            "add '--prefix' with its folder; 'readlink -f \"\$(type -P ds01)\"' shows where it is"
    fi
    if [[ -n "$1" ]]; then
        for key in config log state; do
            [[ ! -d "${LAYOUT[${key}]}" ]] || install::act "remove '${LAYOUT[${key}]}'" rm -rf -- "${LAYOUT[${key}]}"
        done
        parts::purge
        remove::_engine
        ((INSTALL_CHANGES > 0)) || core::info 'nothing to do'
    else
        left="$(system::own_engine)"
        [[ -z "${left}" ]] || core::info "the Docker engine goes on; to stop it: kill ${left}"
        core::info "kept '${LAYOUT[config]}', '${LAYOUT[state]}' and '${LAYOUT[log]}'; '--purge' removes them too"
    fi
}

# Containers are people's work: they are not the installer's to remove.
remove::_say_containers() {
    local count
    count="$(docker::count_managed)" || return 0
    case "${count}" in
        0) ;;
        1) core::warn "a container made by DS01 stays on the engine, without anybody to watch it" ;;
        *) core::warn "${count} containers made by DS01 stay on the engine, without anybody to watch them" ;;
    esac
}

remove::_links() {
    local link
    for link in "${LAYOUT[bin]}"/*; do
        if [[ "$(readlink -- "${link}" || true)" == "${LAYOUT[prefix]}/bin/"* ]]; then
            install::act "remove the link '${link}'" rm -f -- "${link}"
        fi
    done
    # A folder that the installer made, or that nobody misses.
    [[ -n "${INSTALL_DRY_RUN}" || "${LAYOUT[bin]}" == /usr/local/bin ]] || rmdir -- "${LAYOUT[bin]}" 2> /dev/null || true
}

# Remove what the manifest and the installer name; what somebody else put there stays.
remove::_program() {
    local prefix="${LAYOUT[prefix]}" part parts
    mapfile -t parts < <(sed -n 's/^part //p' "${prefix}/.manifest")
    for part in "${parts[@]}" venv .manifest; do
        [[ -z "${part}" ]] || rm -rf -- "${prefix:?}/${part}"
    done
    rm -rf -- "${prefix}.new" "${prefix}.old"
    rmdir -- "${prefix}" 2> /dev/null || core::warn "'${prefix}' stays: it holds files that DS01 did not put there"
}

# Stop the engine only if the installer started it.
remove::_engine() {
    local id
    id="$(system::own_engine)"
    [[ -z "${id}" ]] || install::act 'stop the Docker engine that install.sh started' kill -TERM "${id}"
}
