# shellcheck shell=bash
# container-why: the story of one container.
: "${EXIT_OK:?}"

main() {
    local words=() flags=()
    while (($# > 0)); do
        case "$1" in
            -h | --help) core::help && exit "${EXIT_OK}" ;;
            --json) flags+=(--json) && shift ;;
            --) shift && words+=("$@") && break ;;
            -*) core::unknown_option "$1" ;;
            *) words+=("$1") && shift ;;
        esac
    done
    ((${#words[@]} <= 1)) || core::usage_error "unexpected word '${words[1]}'"
    if ((${#words[@]} == 0)); then
        core::is_interactive || core::missing NAME
        words[0]="$(choose::one Why)" || exit
        core::answered "${words[0]}"
    fi

    core::tell_line
    core::run_pre_hooks name "${words[0]}"
    core::helper container_story "${flags[@]}" -- "${words[0]}"
}
