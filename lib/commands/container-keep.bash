# shellcheck shell=bash
# container-keep: leave a container running though it idles, for some time.
: "${EXIT_OK:?}"

main() {
    local words=() off='' list='' json='' answer
    while (($# > 0)); do
        case "$1" in
            -h | --help) core::help && exit "${EXIT_OK}" ;;
            --off) off=yes && shift ;;
            -l | --list) list=yes && shift ;;
            --json) json=yes && shift ;;
            -q | --quiet) core::be_quiet && shift ;;
            --) shift && words+=("$@") && break ;;
            -*) core::unknown_option "$1" ;;
            *) words+=("$1") && shift ;;
        esac
    done
    ((${#words[@]} <= 2)) || core::usage_error "unexpected word '${words[2]}'"
    [[ -z "${list}" ]] || ((${#words[@]} == 0)) || core::usage_error "'--list' takes no name"
    [[ -z "${off}" ]] || ((${#words[@]} < 2)) || core::usage_error "'--off' takes no duration"

    if ((${#words[@]} == 0)) && [[ -z "${list}" ]]; then
        core::is_interactive || core::missing "NAME (or '--list')"
        container-keep::_ask
    fi

    core::tell_line
    core::run_pre_hooks name "${words[0]:-}"
    if ((${#words[@]} == 0)); then
        core::helper container_keep list ${json:+--json}
        return
    fi
    if [[ -n "${off}" ]]; then
        answer="$(core::helper container_keep end "${words[0]}")" || exit
    else
        answer="$(core::helper container_keep keep "${words[@]}")" || exit
    fi
    if [[ -n "${json}" ]]; then
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
    [[ -z "${off}" ]] || return 2
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
