# shellcheck shell=bash
# gpu-explain: why a container got what it got, or what a request would get now.
: "${EXIT_OK:?}"

main() {
    local words=() flags=() request=''
    while (($# > 0)); do
        case "$1" in
            -h | --help) core::help && exit "${EXIT_OK}" ;;
            -r | --request) core::need_value "$1" "$#" "${2:-}" && request="$2" && shift 2 ;;
            --request=*) set -- --request "${1#*=}" "${@:2}" ;;
            --json) flags+=(--json) && shift ;;
            --) shift && words+=("$@") && break ;;
            -*) core::unknown_option "$1" ;;
            *) words+=("$1") && shift ;;
        esac
    done
    ((${#words[@]} <= 1)) || core::usage_error "unexpected word '${words[1]}'"
    [[ ${#words[@]} -eq 0 || -z "${request}" ]] || core::usage_error "give a container or '--request', not both"
    if ((${#words[@]} == 0)) && [[ -z "${request}" ]]; then
        core::is_interactive || core::missing "CONTAINER (or '--request')"
        words[0]="$(choose::one Explain)" || exit
        core::answered "${words[0]}"
    fi

    core::tell_line
    core::run_pre_hooks name "${words[0]:-}" request "${request}"
    if [[ -n "${request}" ]]; then
        core::helper gpu_show explain --request "${request}" "${flags[@]}"
    else
        core::helper gpu_show explain --container "$(create::engine_name "${words[0]}")" "${flags[@]}"
    fi
}
