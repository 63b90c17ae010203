# shellcheck shell=bash
# What the lifecycle left for the user to know (python/ds01/lifecycle/notices.py), told once: at login or by the next command.
: "${PROJECT_ROOT:?set by lib/run-command}"

# Tell a person what is new; the same file as lib/login-notice's remembers what was told.
notices::tell() {
    local folder file seen="${XDG_CACHE_HOME:-${HOME}/.cache}/ds01/notices-seen" last=0 at text newest=''
    [[ -t 2 ]] || return 0
    notices::_set_folder folder
    file="${folder}/${UID}"
    [[ -r "${file}" ]] || return 0
    [[ ! -r "${seen}" ]] || read -r last < "${seen}" || true
    [[ "${last}" =~ ^[0-9]{1,18}$ ]] || last=0
    while read -r at text; do
        [[ "${at}" =~ ^[0-9]{1,18}$ ]] || continue
        ((at > last)) || continue
        core::info "${text}"
        newest="${at}"
    done < "${file}"
    [[ -n "${newest}" ]] || return 0
    # Who has no room for it is told again.
    { mkdir -p -- "${seen%/*}" && printf '%s\n' "${newest}" > "${seen}"; } 2> /dev/null || true
}

# Where the notices are; jq would cost each command 20 ms. Sets: the variable named.
notices::_set_folder() { # <variable>
    local -n notices_folder="$1"
    local paths="${PROJECT_ROOT}/paths.json"
    if [[ -n "${DS01_ROOT:-}" ]]; then
        notices_folder="${DS01_ROOT}/var/lib/ds01/notices"
    elif [[ -r "${paths}" && "$(< "${paths}")" =~ \"state\":\"([^\"]*)\" ]]; then
        notices_folder="${BASH_REMATCH[1]}/notices"
    else
        # shellcheck disable=SC2034 # the caller's variable
        notices_folder=/var/lib/ds01/notices
    fi
}
