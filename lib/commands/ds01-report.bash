# shellcheck shell=bash
# ds01-report: GPU-hours and what else happened, by user and group.
: "${OPTIONS_GIVEN?set by lib}"

main() {
    local option length='' form=''
    options::parse "$@"
    for option in "${OPTIONS_GIVEN[@]}"; do
        case "${option}" in
            --week | --month | --since=*) length="${length}1" ;;
            --html=* | --csv | --json) form="${form}1" ;;
            *) ;;
        esac
    done
    ((${#length} <= 1)) || core::usage_error "give one of '--week', '--month' and '--since'"
    ((${#form} <= 1)) || core::usage_error "give one of '--html', '--csv' and '--json'"

    core::run_pre_hooks
    core::helper report_show "${OPTIONS_GIVEN[@]}"
}
