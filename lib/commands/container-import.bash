# shellcheck shell=bash
# container-import: a container of the user's own from an exported file, by the embedded mlc through the gateway.
: "${CREATE[name]?set by lib}" "${CREATE_MADE?set by lib}" "${OPTIONS[help]?set by lib}" "${OPTIONS_WORDS?set by lib}"

main() {
    options::parse "$@"
    local words=("${OPTIONS_WORDS[@]}")
    create::take_options

    if ((${#words[@]} == 0)); then
        core::is_interactive || core::missing FILE
        container-import::_ask
    fi
    mlc::load

    create::import "${words[0]}" "${words[1]:-}"
    if [[ -n "${OPTIONS[json]}" ]]; then
        printf '%s\n' "${CREATE_MADE}"
    elif [[ -z "${CORE_QUIET}" ]]; then
        create::summary
    fi
    core::tell_line
}

# Ask for the file and the container's name. Sets: words of main.
container-import::_ask() {
    local file='' name=''
    menu::walk container-import::_ask_file container-import::_ask_name || menu::left
    words=("${file}" "${name}")
    core::answered "${words[@]}"
}

container-import::_ask_file() {
    local answer
    while true; do
        answer="$(menu::file "File to import" "${file:-${PWD}}" .tar)" || return
        [[ "${answer}" == "${file}" ]] || name=''
        file="${answer}"
        [[ -z "${name}" ]] || return 0
        name="$(mlc::exported_name "${file}")" && return 0
        menu::message Import "'${file}' is not a file that 'container-export' wrote." || return
    done
}

container-import::_ask_name() {
    create::ask_name name "Import"
}
