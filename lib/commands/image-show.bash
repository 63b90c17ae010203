# shellcheck shell=bash
# image-show: what one image is made of.
: "${EXIT_OK:?}"

main() {
    local words=() flags=()
    while (($# > 0)); do
        case "$1" in
            -h | --help) core::help && exit "${EXIT_OK}" ;;
            --spec | --dockerfile | --lock | --history | --json) flags+=("$1") && shift ;;
            --) shift && words+=("$@") && break ;;
            -*) core::unknown_option "$1" ;;
            *) words+=("$1") && shift ;;
        esac
    done
    ((${#words[@]} <= 1)) || core::usage_error "unexpected word '${words[1]}'"
    ((${#flags[@]} <= 1)) || core::usage_error "give one of '${flags[0]}' and '${flags[1]}', not both"

    if ((${#words[@]} == 0)); then
        core::is_interactive || core::missing NAME
        words[0]="$(image::choose_one Show)" || exit
        core::answered "${words[0]}"
    fi
    mlc::load

    core::tell_line
    core::run_pre_hooks name "${words[0]}"
    core::helper images show "${flags[@]}" -- "${words[0]}"
}
