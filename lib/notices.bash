# shellcheck shell=bash
# What the lifecycle left for the user to know (python/notices.py), told once: at login or by the next command.
: "${MLC_STATE_DIR?set by lib}" "${CORE_QUIET?set by lib}"

# Tell a person what is new; the same file as lib/login-notice's remembers what was told.
notices::tell() {
    local file="${MLC_STATE_DIR}/notices/${UID}" seen="${XDG_CACHE_HOME:-${HOME}/.cache}/ds01/notices-seen"
    local last=0 at text newest=''
    [[ -r "${file}" && -t 2 && -z "${CORE_QUIET}" ]] || return 0
    [[ ! -r "${seen}" ]] || read -r last < "${seen}" || true
    [[ "${last}" =~ ^[0-9]+$ ]] || last=0
    while read -r at text; do
        [[ "${at}" =~ ^[0-9]+$ ]] || continue
        ((at > last)) || continue
        core::info "${text}"
        newest="${at}"
    done < "${file}"
    [[ -n "${newest}" ]] || return 0
    # Who has no room for it is told again.
    { mkdir -p -- "${seen%/*}" && printf '%s\n' "${newest}" > "${seen}"; } 2> /dev/null || true
}
