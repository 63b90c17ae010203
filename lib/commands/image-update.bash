# shellcheck shell=bash
# image-update: parse, ask for what is missing, show what changes, ask, build, say who still runs the older image.
: "${CORE_QUIET?set by lib}" "${EXIT_BUG:?}" "${EXIT_CONFIG:?}" "${EXIT_OK:?}" "${EXIT_NOT_FOUND:?}" "${EXIT_USAGE:?}" \
    "${IMAGE_BUILT?set by lib}" "${IMAGE_PLAN?set by lib}"

# What flags and menus fill.
UPDATE_WORDS=() UPDATE_BUILD=() UPDATE_DECISION='' UPDATE_EDIT='' UPDATE_YES='' UPDATE_DRY_RUN='' UPDATE_JSON=''

main() {
    local words=()
    while (($# > 0)); do
        case "$1" in
            -h | --help) core::help && exit "${EXIT_OK}" ;;
            -a | --add | --add-system | --remove | -r | --requirements | --base | --dockerfile)
                image-update::_take "$@" && shift 2
                ;;
            --add=* | --add-system=* | --remove=* | --requirements=* | --base=* | --dockerfile=*)
                image-update::_take "${1%%=*}" "${1#*=}" && shift
                ;;
            --edit) UPDATE_EDIT=yes && shift ;;
            --rebuild | --no-cache) UPDATE_BUILD=(--no-cache) && shift ;;
            --upgrade) UPDATE_WORDS+=("$1") && shift ;;
            --shared | --private) image-update::_share "$1" && shift ;;
            --adopt | --render-again) image-update::_decide "$1" && shift ;;
            --dry-run) UPDATE_DRY_RUN=yes && shift ;;
            --json) UPDATE_JSON=yes && shift ;;
            -y | --yes) UPDATE_YES=yes && shift ;;
            -q | --quiet) core::be_quiet && shift ;;
            --) shift && words+=("$@") && break ;;
            -*) core::unknown_option "$1" ;;
            *) words+=("$1") && shift ;;
        esac
    done
    ((${#words[@]} <= 1)) || core::usage_error "unexpected word '${words[1]}'"

    if ((${#words[@]} == 0)); then
        core::is_interactive || core::missing NAME
        image-update::_ask
    fi
    mlc::load
    [[ "${words[0]}" != */* ]] || core::die "${EXIT_USAGE}" "'${words[0]}' is not the name of an image of yours" \
        "run 'image-create NAME --from ds01/${words[0]#ds01/}' to build on one that is shared"
    image::check_name "${words[0]}"
    [[ -z "${UPDATE_EDIT}" ]] || image-update::_edit "${words[0]}"

    [[ -n "${UPDATE_DRY_RUN}" ]] \
        || core::run_pre_hooks name "${words[0]}" words "$(core::print_words "${UPDATE_WORDS[@]}")"
    image-update::_plan "${words[0]}"
    image::tell_warnings
    image-update::_show
    if [[ -n "${UPDATE_DRY_RUN}" ]]; then
        core::tell_line
        exit "${EXIT_OK}"
    fi
    if ((${#UPDATE_BUILD[@]} == 0)) && image::is_up_to_date; then
        core::info "image '${words[0]}' is as its source says; '--rebuild' builds it all the same"
        [[ -z "${UPDATE_JSON}" ]] || image::print_json
        exit "${EXIT_OK}"
    fi
    image-update::_confirm "${words[0]}"
    core::tell_line
    image::build --made-by image-update "${UPDATE_BUILD[@]}"
    if [[ -n "${UPDATE_JSON}" ]]; then
        image::print_json
    elif [[ -z "${CORE_QUIET}" ]]; then
        image::print_summary
    fi
    image::tell_outdated
}

# Take an option with a value.
image-update::_take() { # <option> [<value>...]
    local items=() item
    core::need_value "$1" "$#" "${2:-}"
    case "$1" in
        -a | --add) set -- --add "$2" ;;
        -r | --requirements) UPDATE_WORDS+=("--requirement=$2") && return ;;
        --base | --dockerfile) UPDATE_WORDS+=("$1=$2") && return ;;
        *) ;;
    esac
    image::split items "$2"
    for item in "${items[@]}"; do
        UPDATE_WORDS+=("$1=${item}")
    done
}

image-update::_decide() { # <--adopt|--render-again>
    [[ -z "${UPDATE_DECISION}" || "${UPDATE_DECISION}" == "$1" ]] \
        || core::usage_error "give '--adopt' or '--render-again', not both"
    UPDATE_DECISION="$1"
}

image-update::_share() { # <--shared|--private>
    [[ " ${UPDATE_WORDS[*]} " != *' --shared '* && " ${UPDATE_WORDS[*]} " != *' --private '* ]] \
        || core::usage_error "give '--shared' or '--private', once"
    UPDATE_WORDS+=("$1")
}

# Ask a person who named nothing for the image, and what should be done. Sets: words of main, and what flags would.
image-update::_ask() {
    local name='' what='' packages=''
    ((${#UPDATE_WORDS[@]} + ${#UPDATE_BUILD[@]} == 0)) && [[ -z "${UPDATE_EDIT}${UPDATE_DECISION}" ]] || what=given
    menu::walk image-update::_ask_image image-update::_ask_what image-update::_ask_packages || menu::left
    words=("${name}")
    core::answered "${name}"
    case "${what}" in
        edit) UPDATE_EDIT=yes ;;
        upgrade) UPDATE_WORDS+=(--upgrade) ;;
        rebuild) UPDATE_BUILD=(--no-cache) ;;
        given) return ;;
        *)
            image-update::_take "--${what}" "${packages}"
            core::answered "--${what}" "${packages}"
            return
            ;;
    esac
    core::answered "--${what}"
}

image-update::_ask_image() {
    image::step name Update
}

image-update::_ask_what() {
    local answer
    [[ "${what}" != given ]] || return 2
    answer="$(menu::select --default "${what}" Update "What should be done with '${name}'?" add "add Python packages" \
        add-system "add Debian packages" remove "remove packages" edit "edit the Dockerfile" upgrade "take newer versions" \
        rebuild "build it anew, with the same versions")" || return
    what="${answer}"
}

image-update::_ask_packages() {
    local answer
    [[ "${what}" == add || "${what}" == add-system || "${what}" == remove ]] || return 2
    while true; do
        answer="$(menu::input Update "Which packages? (such as: rich polars>=1)" "${packages}")" || return
        [[ -z "${answer// /}" ]] || break
        menu::message Update "Name at least one package, or go back." || return
    done
    packages="${answer}"
}

# Open the Dockerfile in the user's editor.
image-update::_edit() { # <name>
    local editor file words
    core::is_interactive || core::usage_error "'--edit' needs a terminal"
    file="$(core::helper images show --json -- "$1" | jq -r '.source + "/Dockerfile"')" || exit
    editor="${VISUAL:-${EDITOR:-}}"
    [[ -n "${editor}" ]] || editor="$(type -P sensible-editor nano vi | head -n 1)"
    [[ -n "${editor}" ]] || core::die "${EXIT_NOT_FOUND}" "there is no editor" "set EDITOR, such as 'export EDITOR=nano'"
    # The variable may hold words, such as 'code --wait'.
    read -ra words <<< "${editor}"
    "${words[@]}" "${file}" \
        || core::die "${EXIT_BUG}" "the editor '${editor}' ended with status $?" "the Dockerfile is '${file}'"
}

# Have the change worked out; a managed part that was edited by hand needs a decision. Sets: IMAGE_PLAN.
image-update::_plan() { # <name>
    local status=0 answer
    image::plan update "$1" "${UPDATE_WORDS[@]}" ${UPDATE_DECISION:+"${UPDATE_DECISION}"} || status=$?
    ((status != 0)) || return 0
    if ((status != EXIT_CONFIG)) || [[ "$(jq -r '.source_state? // ""' <<< "${IMAGE_PLAN:-null}")" != edited ]]; then
        exit "${status}"
    fi
    if [[ -n "${UPDATE_YES}" ]] || ! core::is_interactive; then
        jq -r .dockerfile_diff <<< "${IMAGE_PLAN}" >&2
        exit "${status}"
    fi
    menu::message Update "The rendered part of the Dockerfile was edited by hand:

$(jq -r .dockerfile_diff <<< "${IMAGE_PLAN}")" || menu::left
    answer="$(menu::select Update "What shall become of the edit?" \
        adopt "keep the whole file as my own from now on" \
        render-again "drop the edit, render it from image.yaml again")" || menu::left
    UPDATE_DECISION="--${answer}"
    core::answered "--${answer}"
    image::plan update "$1" "${UPDATE_WORDS[@]}" "${UPDATE_DECISION}" || exit
}

# Show what changes: on stdout where that is the result, else beside it.
image-update::_show() {
    if [[ -n "${UPDATE_DRY_RUN}" && -n "${UPDATE_JSON}" ]]; then
        printf '%s\n' "${IMAGE_PLAN}"
    elif [[ -n "${UPDATE_DRY_RUN}" ]]; then
        image::has_changes || core::info "neither the Dockerfile nor a version would change"
        image::print_changes
    elif [[ -z "${CORE_QUIET}" ]]; then
        image::print_changes >&2
    fi
}

# Ask before the build, where a person can be asked; a script was told what to do.
image-update::_confirm() { # <name>
    local status=0 text="Build '$1' anew, as its source is now? Nothing else changes."
    [[ -z "${UPDATE_YES}" ]] || return 0
    core::is_interactive || return 0
    ! image::has_changes || text="Build '$1' with these changes?

$(image::print_changes)"
    menu::confirm Update "${text}" || status=$?
    ((status == 0)) || menu::left
}
