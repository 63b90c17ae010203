# shellcheck shell=bash
# container-open: a shell in one of the user's containers.
: "${EXIT_OK:?}"

main() {
    local words=() engine_name
    while (($# > 0)); do
        case "$1" in
            -h | --help) core::help && exit "${EXIT_OK}" ;;
            -q | --quiet) core::be_quiet && shift ;;
            --) shift && words+=("$@") && break ;;
            -*) core::unknown_option "$1" ;;
            *) words+=("$1") && shift ;;
        esac
    done
    ((${#words[@]} <= 1)) || core::usage_error "unexpected word '${words[1]}'"

    if ((${#words[@]} == 0)); then
        core::is_interactive || core::missing NAME
        words[0]="$(choose::one Open)" || exit
        core::answered "${words[0]}"
    fi
    mlc::load

    create::check_name "${words[0]}"
    mlc::container_json "${words[0]}" > /dev/null || exit
    engine_name="$(create::engine_name "${words[0]}")"
    core::tell_line
    core::run_pre_hooks name "${words[0]}"
    session::open "${words[0]}" "${engine_name}"
}
