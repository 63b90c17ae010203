# shellcheck shell=bash
# Questions for a folder or a file of the person's, by walking through folders.
: "${PROJECT_ROOT:?set by lib/run-command}"

# Find a folder of the person's, beginning at one that is there. Prints: its path.
menu::folder() { # <title> <folder>
    menu::_browse folder "$@"
}

# Find a file of the person's, beginning in a folder that is there, or at a file, whose row is marked. Prints: its path.
menu::file() { # <title> <folder or file> [<ending of the names that are offered>]
    menu::_browse file "$@"
}

menu::_browse() { # <folder|file> <title> <folder or file> [<ending>]
    # The row that is marked, and a path that was typed and is not right yet.
    local kind="$1" title="$2" here path items answer status marked='' typed=''
    here="$3"
    [[ ! -f "${here}" ]] || { marked="${here##*/}" && here="$(dirname -- "${here}")"; }
    # One that the person may not enter is no place to begin at.
    here="$(cd -- "${here}" 2> /dev/null && pwd -P)" || here=/
    while true; do
        items=()
        [[ "${kind}" == file ]] || items+=(. "take this folder")
        items+=(.. "the folder above")
        if [[ "${kind}" == file ]]; then
            for path in "${here%/}"/*"${4:-}"; do
                [[ ! -f "${path}" || ! -r "${path}" ]] || items+=("${path##*/}" "")
            done
        fi
        for path in "${here%/}"/*/; do
            [[ -d "${path}" && -x "${path}" ]] || continue
            path="${path%/}"
            items+=("${path##*/}/" "")
        done
        items+=(+ "type a path")
        status=0
        answer="$(menu::select ${marked:+--default "${marked}"} "${title}" "${here}" "${items[@]}")" || status=$?
        ((status == 0)) || return "${status}"
        case "${answer}" in
            .) printf '%s\n' "${here}" && return 0 ;;
            ..)
                marked="${here##*/}/"
                here="$(dirname -- "${here}")"
                ;;
            +)
                marked=+
                answer="$(menu::input "${title}" "Path of the ${kind}:" "${typed:-${here%/}/}")" || status=$?
                ((status != 255)) || return 255
                ((status == 0)) || continue
                typed="${answer}"
                core::expand_home answer "${answer}"
                if [[ -d "${answer}" && -x "${answer}" ]]; then
                    here="$(cd -- "${answer}" && pwd -P)" marked='' typed=''
                elif [[ "${kind}" == file && -f "${answer}" && -r "${answer}" ]]; then
                    printf '%s\n' "$(realpath -s -- "${answer}")" && return 0
                else
                    menu::message "${title}" "There is no ${kind} '${answer}' that you can use." || return
                fi
                ;;
            */) here="${here%/}/${answer%/}" marked='' ;;
            *) printf '%s\n' "${here%/}/${answer}" && return 0 ;;
        esac
    done
}
