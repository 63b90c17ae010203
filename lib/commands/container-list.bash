# shellcheck shell=bash
# container-list: what mlc's list shows, joined with limits, GPUs and age.
# It reads mlc's labels from the engine, as mlc itself does: mlc's own list is text for people, and AIME's crashes on
# labels of others.
: "${EXIT_OK:?}"

main() {
    local words=(list)
    while (($# > 0)); do
        case "$1" in
            -h | --help) core::help && exit "${EXIT_OK}" ;;
            -a | --all)
                words+=(--column user --column arch --column workspace --column data --column models --column size)
                ;;
            -au | --all-users | --all_users) words+=(--all-users --column user) ;;
            -arch | --architecture) words+=(--column arch) ;;
            -w | --workspace) words+=(--column workspace) ;;
            -d | --data) words+=(--column data) ;;
            -m | --models) words+=(--column models) ;;
            -s | --size) words+=(--column size) ;;
            --json) words+=(--json) ;;
            -*) core::unknown_option "$1" ;;
            *) core::usage_error "unexpected word '$1'" ;;
        esac
        shift
    done

    core::run_pre_hooks
    core::helper containers "${words[@]}"
}
