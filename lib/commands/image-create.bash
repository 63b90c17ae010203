# shellcheck shell=bash
# image-create: parse, ask for what is missing, have the image planned, build it, say what was made.
: "${CORE_QUIET?set by lib}" "${EXIT_OK:?}" "${IMAGE[name]?set by lib}" "${IMAGE_BUILT?set by lib}" \
    "${IMAGE_PLAN?set by lib}" "${IMAGE_WORDS?set by lib}" "${OPTIONS_WORDS?set by lib}"

main() {
    local bare=''
    [[ $# -gt 0 && "$*" != --guided ]] || bare=yes
    options::parse "$@"
    image::take_options
    IMAGE[name]="${OPTIONS_WORDS[0]:-}"
    image::check_words

    guide::say image || menu::left
    if [[ -n "${bare}" ]] && core::is_interactive; then
        image::wizard
    else
        image::ask_missing
    fi
    mlc::load

    image::set_words
    if [[ -z "${IMAGE[dry_run]}" ]]; then
        core::run_pre_hooks name "${IMAGE[name]}" words "$(core::print_words "${IMAGE_WORDS[@]}")"
    fi
    # Where something was asked, it is worked out already.
    [[ -n "${IMAGE_PLAN}" ]] || { image::offer_base && image::plan create "${IMAGE_WORDS[@]}"; } || exit
    image::tell_warnings
    if [[ -n "${IMAGE[dry_run]}" ]]; then
        image-create::_print_plan
        exit "${EXIT_OK}"
    fi
    image::build --made-by image-create ${IMAGE[no_cache]:+--no-cache} ${IMAGE[no_build]:+--no-build}
    if [[ -n "${IMAGE[json]}" ]]; then
        image::print_json
    elif [[ -z "${CORE_QUIET}" ]]; then
        image::print_summary
    fi
    guide::say next-image "${IMAGE[name]}"
}

# Print the Dockerfile that would be built, or all of the plan.
image-create::_print_plan() {
    if [[ -n "${IMAGE[json]}" ]]; then
        printf '%s\n' "${IMAGE_PLAN}"
    else
        jq -rj .dockerfile <<< "${IMAGE_PLAN}"
    fi
}
