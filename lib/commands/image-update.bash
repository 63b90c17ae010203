# shellcheck shell=bash
# image-update: parse, ask for what is missing, show what changes, ask, build, say who still runs the older image.
: "${CORE_QUIET?set by lib}" "${EXIT_BUG:?}" "${EXIT_CONFIG:?}" "${EXIT_LEFT:?}" "${EXIT_NOT_FOUND:?}" "${EXIT_OK:?}" \
    "${EXIT_USAGE:?}" "${IMAGE_BUILT?set by lib}" "${IMAGE_PLAN?set by lib}" "${OPTIONS[help]?set by lib}" \
    "${OPTIONS_GIVEN?set by lib}" "${OPTIONS_WORDS?set by lib}"

# What flags and menus fill.
UPDATE_WORDS=() UPDATE_BUILD=() UPDATE_DECISION='' UPDATE_EDIT=''

main() {
    options::parse "$@"
    local words=("${OPTIONS_WORDS[@]}") steps=(image-update::_look) name='' what=given packages=''
    local decision='' confirmed='' edited=''
    image-update::_take_options

    if ((${#words[@]} == 0)); then
        core::is_interactive || core::missing NAME
        ((${#UPDATE_WORDS[@]} + ${#UPDATE_BUILD[@]} > 0)) || [[ -n "${UPDATE_EDIT}${UPDATE_DECISION}" ]] || what=''
        steps=(image-update::_ask_image image-update::_ask_what image-update::_ask_packages "${steps[@]}")
    else
        name="${words[0]}"
        [[ "${name}" != */* ]] || image-update::_refuse "${name}"
        image::check_name "${name}"
    fi
    menu::walk "${steps[@]}" || image-update::_left
    image-update::_note_answers

    image::tell_warnings
    [[ -n "${confirmed}" ]] || image-update::_show
    core::tell_line
    [[ -z "${OPTIONS[dry_run]}" ]] || exit "${EXIT_OK}"
    if image-update::_is_done; then
        core::info "image '${name}' is as its source says; '--rebuild' builds it all the same"
        [[ -z "${OPTIONS[json]}" ]] || image::print_json
        exit "${EXIT_OK}"
    fi
    core::run_pre_hooks name "${name}" words "$(core::print_words "${UPDATE_WORDS[@]}")"
    image::build --made-by image-update "${UPDATE_BUILD[@]}"
    if [[ -n "${OPTIONS[json]}" ]]; then
        image::print_json
    elif [[ -z "${CORE_QUIET}" ]]; then
        image::print_summary
    fi
    image::tell_outdated
}

# Leave, because the word means an image that is another user's.
image-update::_refuse() { # <image>
    local own="${1##*/}"
    core::die "${EXIT_USAGE}" "'$1' is not the name of an image of yours" \
        "run 'image-create ${own%%:*} --from ds01/${1#ds01/}' to build on one that is shared"
}

# Take the options, in the order in which they were given. Sets: UPDATE_WORDS and the others.
image-update::_take_options() {
    local option
    for option in "${OPTIONS_GIVEN[@]}"; do
        case "${option}" in
            --add=* | --add-system=* | --remove=*) image-update::_take_packages "${option%%=*}" "${option#*=}" ;;
            --requirements=*) UPDATE_WORDS+=("--requirement=${option#*=}") ;;
            --base=* | --dockerfile=* | --upgrade) UPDATE_WORDS+=("${option}") ;;
            --edit) UPDATE_EDIT=yes ;;
            --rebuild | --no-cache) UPDATE_BUILD=(--no-cache) ;;
            --shared | --private)
                [[ " ${UPDATE_WORDS[*]} " != *' --shared '* && " ${UPDATE_WORDS[*]} " != *' --private '* ]] \
                    || core::usage_error "give '--shared' or '--private', once"
                UPDATE_WORDS+=("${option}")
                ;;
            --adopt | --render-again)
                [[ -z "${UPDATE_DECISION}" || "${UPDATE_DECISION}" == "${option}" ]] \
                    || core::usage_error "give '--adopt' or '--render-again', not both"
                UPDATE_DECISION="${option}"
                ;;
            *) ;;
        esac
    done
}

image-update::_take_packages() { # <option> <list>
    local items=() item
    image::split items "$2"
    for item in "${items[@]}"; do
        UPDATE_WORDS+=("$1=${item}")
    done
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
    local answer text
    case "${what}" in
        add) text="Which Python packages should be added? (such as: rich polars>=1)" ;;
        add-system) text="Which Debian packages should be added? (such as: graphviz tree)" ;;
        remove) text="Which packages should be removed? (such as: rich tree)" ;;
        *) return 2 ;;
    esac
    while true; do
        answer="$(menu::input Update "${text}" "${packages}")" || return
        [[ -z "${answer// /}" ]] || break
        menu::message Update "Name at least one package, or go back." || return
    done
    packages="${answer}"
}

# Put the answers in the place of flags.
image-update::_take_answers() {
    [[ "${what}" != given ]] || return 0
    UPDATE_WORDS=() UPDATE_BUILD=() UPDATE_EDIT=''
    case "${what}" in
        edit) UPDATE_EDIT=yes ;;
        upgrade) UPDATE_WORDS+=(--upgrade) ;;
        rebuild) UPDATE_BUILD=(--no-cache) ;;
        *) image-update::_take_packages "--${what}" "${packages}" ;;
    esac
}

# Note the words that say the same as the answers.
image-update::_note_answers() {
    ((${#steps[@]} == 1)) || core::answered "${name}"
    case "${what}" in
        given) ;;
        add | add-system | remove) core::answered "--${what}" "${packages}" ;;
        *) core::answered "--${what}" ;;
    esac
    [[ -z "${decision}" ]] || core::answered "${decision}"
    [[ -z "${confirmed}" ]] || core::answered --yes
}

image-update::_left() {
    [[ -n "${edited}" ]] || menu::left
    core::info "nothing is built; the Dockerfile is as you left it in the editor"
    exit "${EXIT_LEFT}"
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
    edited=yes
    "${words[@]}" "${file}" \
        || core::die "${EXIT_BUG}" "the editor '${editor}' ended with status $?" "the Dockerfile is '${file}'"
}

# A step of menu::walk: the change is worked out, anew each time, since the answers may be others; then comes the last
# word. A rendered part that was edited by hand needs a decision first.
image-update::_look() {
    local status=0 edit=''
    decision=''
    image-update::_take_answers
    mlc::load
    [[ -z "${UPDATE_EDIT}" ]] || image-update::_edit "${name}"
    image::plan update "${name}" "${UPDATE_WORDS[@]}" ${UPDATE_DECISION:+"${UPDATE_DECISION}"} || status=$?
    if ((status == EXIT_CONFIG)) && [[ "$(jq -r '.source_state? // ""' <<< "${IMAGE_PLAN:-null}")" == edited ]]; then
        # The checksum of the marker line says nothing to people.
        edit="$(jq -r '.dockerfile_diff | gsub("; sha256 [0-9a-f]{64} >>>"; " >>>")' <<< "${IMAGE_PLAN}")"
        if [[ -z "${OPTIONS[yes]}" ]] && core::is_interactive; then
            menu::walk image-update::_ask_decision image-update::_confirm
            return
        fi
        printf '%s\n' "${edit}" >&2
        exit "${status}"
    fi
    ((status == 0)) || { image::lead_back Update "${status}" && return || return; }
    image-update::_confirm
}

image-update::_ask_decision() {
    local answer status=0
    # On the way back it was seen.
    [[ -n "${decision}" ]] || menu::message Update "The rendered part of the Dockerfile was edited by hand:

${edit}" || return
    answer="$(menu::select --default "${decision#--}" Update "What shall become of the edit?" \
        adopt "keep the whole file as my own from now on" \
        render-again "drop the edit, render it from image.yaml again")" || return
    decision="--${answer}"
    image::plan update "${name}" "${UPDATE_WORDS[@]}" "${decision}" || status=$?
    ((status == 0)) || image::lead_back Update "${status}"
}

# Show what changes: on stdout where that is the result, else beside it.
image-update::_show() {
    if [[ -n "${OPTIONS[dry_run]}" && -n "${OPTIONS[json]}" ]]; then
        printf '%s\n' "${IMAGE_PLAN}"
    elif [[ -n "${OPTIONS[dry_run]}" ]]; then
        image::has_changes || core::info "neither the Dockerfile nor a version would change"
        image::print_changes
    elif [[ -z "${CORE_QUIET}" ]]; then
        image::print_changes >&2
    fi
}

# Ask before the build, where a person can be asked; a script was told what to do.
image-update::_confirm() {
    local text="Build '${name}' anew, as its source is now? Nothing else changes."
    confirmed=''
    [[ -z "${OPTIONS[yes]}${OPTIONS[dry_run]}" ]] && core::is_interactive && ! image-update::_is_done || return 2
    ! image::has_changes || text="Build '${name}' with these changes?

$(image::print_changes)"
    menu::confirm Update "${text}" || return
    confirmed=yes
}

# Is there nothing to build? Sets: IMAGE_BUILT, if so.
image-update::_is_done() {
    ((${#UPDATE_BUILD[@]} == 0)) && image::is_up_to_date
}
