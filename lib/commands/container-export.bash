# shellcheck shell=bash
# container-export: one file out of a container. AIME's mlc cannot do this, so the embedded one always does.
: "${EXIT_BUG:?}" "${EXIT_LEFT:?}" "${EXIT_NOT_FOUND:?}" "${EXIT_PREREQUISITE:?}" "${EXIT_REFUSED:?}" \
    "${OPTIONS[help]?set by lib}" "${OPTIONS_WORDS?set by lib}"

main() {
    options::parse "$@"
    local words=("${OPTIONS_WORDS[@]}") flags=(-s) target folder=''
    [[ -z "${OPTIONS[force]}" ]] || flags+=(-f)

    if ((${#words[@]} == 0)); then
        core::is_interactive || core::missing NAME
        container-export::_ask
    fi
    mlc::load
    target="${words[1]:-${words[0]}.tar}"

    [[ "${target}" != - || ! -t 1 ]] || core::usage_error "the file would go to the terminal"
    mlc::container_json "${words[0]}" > /dev/null || exit
    if [[ "${target}" != - ]]; then
        folder="$(dirname -- "${target}")"
        [[ -d "${folder}" ]] || core::die "${EXIT_NOT_FOUND}" "there is no folder for '${target}'" \
            "run 'mkdir -p ${folder@Q}'"
        [[ ! -e "${target}" || " ${flags[*]} " == *' -f '* ]] \
            || core::die "${EXIT_REFUSED}" "file '${target}' exists" "add '--force' to replace it"
    fi

    core::tell_line
    core::run_pre_hooks name "${words[0]}" file "${target}"
    container-export::_write "${words[0]}" "${target}" "${flags[@]}" || container-export::_explain "$?" "${folder}"
    core::helper state event exported --json "$(jq -cn --arg container "$(create::engine_name "${words[0]}")" \
        --arg name "${words[0]}" --arg file "${target}" '$ARGS.named')" > /dev/null \
        || core::warn "the export is not in the event log"
    [[ "${target}" == - ]] || core::info "container '${words[0]}' is saved in '${target}'"
}

# Ask for the container and the place of the file. Sets: words and flags of main.
container-export::_ask() {
    local name='' folder="${PWD}"
    menu::walk container-export::_ask_name container-export::_ask_folder || menu::left
    words=("${name}")
    [[ "${folder}" == "${PWD}" ]] || words+=("${folder%/}/${name}.tar")
    core::answered "${words[@]}"
}

container-export::_ask_name() {
    choose::step name Export
}

container-export::_ask_folder() {
    local answer status
    while true; do
        answer="$(menu::folder "Folder for '${name}.tar'" "${folder}")" || return
        folder="${answer}"
        if [[ ! -w "${folder}" ]]; then
            menu::message Export "You may not write in '${folder}'." || return
            continue
        fi
        [[ -e "${folder%/}/${name}.tar" && " ${flags[*]} " != *' -f '* ]] || return 0
        status=0
        menu::confirm Export "The file '${folder%/}/${name}.tar' exists. Its content will be lost.

Replace it?" || status=$?
        ((status != 255)) || return 255
        ((status != 0)) || break
    done
    flags+=(-f)
    core::answered --force
}

# The file is the only thing that mlc's stdout is of use for.
container-export::_write() { # <name> <file> <flag>...
    if [[ "$2" == - ]]; then
        mlc::run_ours export "$@"
    elif menu::has_gauge; then
        MLC_PROGRESS=lines menu::work "Container '$1'" gauge::export mlc::run_ours export "$@" > /dev/null
    else
        mlc::run_ours export "$@" > /dev/null
    fi
}

# Leave, saying why nothing was exported.
container-export::_explain() { # <mlc's status> <folder, empty for stdout>
    local text="container '${words[0]}' was not exported"
    (($1 != EXIT_LEFT)) || core::info "that was ended; no file was written"
    (($1 < 128)) || exit "$1"
    # The status of aime-ml-containers/README.md for a full disk.
    (($1 != EXIT_PREREQUISITE)) || core::die "${EXIT_PREREQUISITE}" "${text}: no space is left for the file" \
        "run '$(core::print_words df -h "${2:-.}")', or choose another folder"
    core::die "${EXIT_BUG}" "${text}" "look at the lines above for the reason"
}
