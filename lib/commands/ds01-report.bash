# shellcheck shell=bash
# ds01-report: GPU-hours and what else happened, by user and group.
: "${EXIT_OK:?}"

main() {
    local words=() length='' form=''
    while (($# > 0)); do
        case "$1" in
            -h | --help) core::help && exit "${EXIT_OK}" ;;
            --week | --month)
                length="${length}1"
                words+=("$1")
                ;;
            --since | --until | --html)
                core::need_value "$1" "$#" "${2:-}"
                words+=("$1=$2")
                [[ "$1" != --since ]] || length="${length}1"
                [[ "$1" != --html ]] || form="${form}1"
                shift
                ;;
            --since=* | --until=* | --html=*)
                core::need_value "${1%%=*}" 2 "${1#*=}"
                words+=("$1")
                [[ "$1" != --since* ]] || length="${length}1"
                [[ "$1" != --html* ]] || form="${form}1"
                ;;
            --csv | --json)
                form="${form}1"
                words+=("$1")
                ;;
            -*) core::unknown_option "$1" ;;
            *) core::usage_error "unexpected word '$1'" ;;
        esac
        shift
    done
    ((${#length} <= 1)) || core::usage_error "give one of '--week', '--month' and '--since'"
    ((${#form} <= 1)) || core::usage_error "give one of '--html', '--csv' and '--json'"

    core::run_pre_hooks
    core::helper report_show "${words[@]}"
}
