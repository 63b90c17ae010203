# shellcheck shell=bash
# container-keep: leave a container running though it idles, for some time.
: "${OPTIONS[help]?set by lib}" "${OPTIONS_WORDS?set by lib}"

main() {
    options::parse "$@"
    local words=("${OPTIONS_WORDS[@]}") answer
    [[ -z "${OPTIONS[list]}" ]] || ((${#words[@]} == 0)) || core::usage_error "'--list' takes no name"
    [[ -z "${OPTIONS[off]}" ]] || ((${#words[@]} < 2)) || core::usage_error "'--off' takes no duration"

    if ((${#words[@]} == 0)) && [[ -z "${OPTIONS[list]}" ]]; then
        core::is_interactive || core::missing "NAME (or '--list')"
        container-keep::_ask
    fi

    core::tell_line
    core::run_pre_hooks name "${words[0]:-}"
    if ((${#words[@]} == 0)); then
        core::helper container_keep list ${OPTIONS[json]:+--json}
        return
    fi
    if [[ -n "${OPTIONS[off]}" ]]; then
        answer="$(core::helper container_keep end "${words[0]}")" || exit
    else
        answer="$(core::helper container_keep keep "${words[@]}")" || exit
    fi
    if [[ -n "${OPTIONS[json]}" ]]; then
        printf '%s\n' "${answer}"
    else
        core::info "$(jq -r .text <<< "${answer}")"
    fi
}

# Ask for the container, and how long it is to be kept. Sets: words of main.
container-keep::_ask() {
    local name='' duration=''
    menu::walk container-keep::_ask_name container-keep::_ask_duration || menu::left
    words=("${name}" ${duration:+"${duration}"})
    core::answered "${words[@]}"
}

container-keep::_ask_name() {
    choose::step name Keep
}

container-keep::_ask_duration() {
    local problem
    [[ -z "${OPTIONS[off]}" ]] || return 2
    while true; do
        duration="$(menu::input Keep "For how long, such as 90m or 4h? (empty: as long as the policy allows)" \
            "${duration}")" || return
        [[ -n "${duration}" ]] || return 0
        problem="$(core::helper container_keep check -- "${duration}")" || exit
        problem="$(jq -r .problem <<< "${problem}")"
        [[ -n "${problem}" ]] || return 0
        menu::message Keep "${problem}" || return
    done
}
