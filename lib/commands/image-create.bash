# shellcheck shell=bash
# image-create: parse, ask for what is missing, have the image planned, build it, say what was made.
: "${CORE_QUIET?set by lib}" "${EXIT_OK:?}" "${IMAGE[name]?set by lib}" "${IMAGE_BUILT?set by lib}" \
    "${IMAGE_PLAN?set by lib}" "${IMAGE_WORDS?set by lib}"

main() {
    local words=() bare=''
    [[ $# -gt 0 && "$*" != --guided ]] || bare=yes
    while (($# > 0)); do
        case "$1" in
            -h | --help) core::help && exit "${EXIT_OK}" ;;
            -f | --framework | --from | -v | --version | --arch | --dockerfile | --project) image::set "$@" && shift 2 ;;
            --tier | -t | --type | -p | --packages | -s | --system | -r | --requirements | --pip-option)
                image::add "$@" && shift 2
                ;;
            --framework=* | --from=* | --version=* | --arch=* | --dockerfile=* | --project=*)
                image::set "${1%%=*}" "${1#*=}" && shift
                ;;
            --tier=* | --type=* | --packages=* | --system=* | --requirements=* | --pip-option=*)
                image::add "${1%%=*}" "${1#*=}" && shift
                ;;
            --no-tiers) image::flag no_tiers && shift ;;
            --shared) image::flag shared && shift ;;
            --no-build) image::flag no_build && shift ;;
            --no-cache) image::flag no_cache && shift ;;
            --dry-run) image::flag dry_run && shift ;;
            --guided) guide::on && shift ;;
            --json) image::flag json && shift ;;
            -y | --yes) image::flag yes && shift ;;
            -q | --quiet) core::be_quiet && shift ;;
            --) shift && words+=("$@") && break ;;
            -*) core::unknown_option "$1" ;;
            *) words+=("$1") && shift ;;
        esac
    done
    ((${#words[@]} <= 1)) || core::usage_error "unexpected word '${words[1]}'"
    IMAGE[name]="${words[0]:-}"
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
