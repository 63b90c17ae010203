# shellcheck shell=bash
# ds01-events: the event log.
: "${EXIT_OK:?}"

main() {
    local words=()
    while (($# > 0)); do
        case "$1" in
            -h | --help) core::help && exit "${EXIT_OK}" ;;
            -u | --user) ds01-events::_take --user "$@" && shift ;;
            -c | --container) ds01-events::_take --container "$@" && shift ;;
            -t | --type) ds01-events::_take --type "$@" && shift ;;
            --since | --until) ds01-events::_take "$1" "$@" && shift ;;
            --user=* | --container=* | --type=* | --since=* | --until=*)
                ds01-events::_take "${1%%=*}" "${1%%=*}" "${1#*=}"
                ;;
            --gpus | --json) words+=("$1") ;;
            -f | --follow) words+=(--follow) ;;
            -*) core::unknown_option "$1" ;;
            *) core::usage_error "unexpected word '$1'" ;;
        esac
        shift
    done

    core::run_pre_hooks
    core::become_helper events_show "${words[@]}"
}

# Take an option and its value for the helper. Sets: the caller's words.
ds01-events::_take() { # <helper's option> <option> [<value>...]
    core::need_value "$2" "$(($# - 1))" "${3:-}"
    words+=("$1=$3")
}
