# shellcheck shell=bash
# Questions for a folder or a file of the person's, by walking through folders.
: "${PROJECT_ROOT:?set by lib/run-command}"

# Find a folder of the person's, beginning at one that is there. Prints: its path.
menu::folder() { # <title> <folder>
    menu::_browse folder "$@"
}

# Find a file of the person's, beginning in a folder that is there. Prints: its path.
menu::file() { # <title> <folder> [<ending of the names that are offered>]
    menu::_browse file "$@"
}

menu::_browse() { # <folder|file> <title> <folder> [<ending>]
    local kind="$1" title="$2" here path items answer status
    here="$(cd -- "$3" && pwd -P)" || return
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
        answer="$(menu::select "${title}" "${here}" "${items[@]}")" || status=$?
        ((status == 0)) || return "${status}"
        case "${answer}" in
            .) printf '%s\n' "${here}" && return 0 ;;
            ..) here="$(dirname -- "${here}")" ;;
            +)
                answer="$(menu::input "${title}" "Path of the ${kind}:" "${here%/}/")" || status=$?
                ((status != 255)) || return 255
                ((status == 0)) || continue
                [[ "${answer}" != '~'* ]] || answer="${HOME}${answer#\~}"
                if [[ -d "${answer}" && -x "${answer}" ]]; then
                    here="$(cd -- "${answer}" && pwd -P)"
                elif [[ "${kind}" == file && -f "${answer}" && -r "${answer}" ]]; then
                    printf '%s\n' "$(realpath -s -- "${answer}")" && return 0
                else
                    menu::message "${title}" "There is no ${kind} '${answer}' that you can use." || return
                fi
                ;;
            */) here="${here%/}/${answer%/}" ;;
            *) printf '%s\n' "${here%/}/${answer}" && return 0 ;;
        esac
    done
}
