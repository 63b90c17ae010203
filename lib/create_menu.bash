# shellcheck shell=bash
# The questions by which container-create and container-run fill what their flags fill, with a way back.
# shellcheck disable=SC2154 # the keys of CREATE are no variables
: "${PROJECT_ROOT:?set by lib/run-command}" "${COMMAND_NAME:?}" "${CREATE[name]?set by lib}" \
    "${EXIT_NOT_FOUND:?}" "${IMAGE_ARCHITECTURE?set by lib}" "${MLC_DATA_DIR?set by lib}" \
    "${MLC_MODELS_DIR?set by lib}" "${MLC_WORKSPACE_DIR?set by lib}"

# What the answers amount to, as words to type; empty where nobody was asked.
CREATE_LINE=()
# What is to run in the container.
CREATE_COMMAND=()

# Ask for what is needed and missing, or say which words are missing where nobody can be asked.
create::ask_missing() {
    local missing=()
    [[ -n "${CREATE[name]}" ]] || missing+=(NAME)
    if [[ -z "${CREATE[framework]}${CREATE[image]}" ]]; then
        # The image that is called like the container may be meant.
        [[ -z "${CREATE[name]}" ]] || create::plan
        [[ -n "${CREATE[name]}" ]] && ! core::is_true "${CREATE_PLAN}" lacks_image \
            || missing+=("FRAMEWORK (or '--image')")
        CREATE_PLAN="${CREATE[image]:+${CREATE_PLAN}}"
    fi
    ((${#missing[@]} > 0)) || return 0
    core::is_interactive || core::missing "$(core::join ' and ' "${missing[@]}")"
    if [[ -z "${CREATE[name]}" ]]; then
        create::ask_all
    else
        create::_check_room
        menu::walk create::_step_image || menu::left
        create::set_line
    fi
}

# Ask for everything that a new container needs.
create::ask_all() {
    create::walk || menu::left
    create::set_line
}

# The steps to a new container; may be a step itself.
create::walk() {
    create::_check_room
    menu::walk create::_step_name create::_step_image create::_step_gpus create::_step_ready
}

# What must fail at the end, by a broken policy or for the number of containers, is told before anything is asked.
create::_check_room() {
    core::helper get_resource_limits --room "${CREATE[name]:+$(create::engine_name "${CREATE[name]}")}" || exit
}

# Say what could have been typed instead of the answers.
create::tell_line() {
    ((${#CREATE_LINE[@]} == 0)) || core::same_in_words "${CREATE_LINE[@]}"
}

create::_step_name() {
    guide::say container || return
    create::ask_name 'CREATE[name]' "New container"
}

# A step of menu::walk: a name that a new container can have. Sets: the variable named.
create::ask_name() { # <variable> <title>
    local -n create_name="$1"
    local answer="${create_name}"
    while true; do
        answer="$(menu::input "$2" "A name for the container (letters, digits, _ and -):" "${answer}")" || return
        if ! (create::check_name "${answer}") 2> /dev/null; then
            menu::message "$2" "'${answer}' cannot be a name: use letters, digits, '_' and '-', at most 63,\
 beginning with a letter or digit." || return
        elif mlc::container_json "${answer}" > /dev/null 2>&1; then
            menu::message "$2" "You already have a container '${answer}'." || return
        else
            create_name="${answer}"
            return 0
        fi
    done
}

# An own or shared image, or framework and version out of the catalog.
create::_step_image() {
    local rows=() items=() choice known=''
    # Only now: the first question is there sooner.
    mlc::load
    [[ -z "${CREATE[asked_image]}" ]] && [[ -n "${CREATE[framework]}${CREATE[image]}" ]] && return 2
    guide::say image || return
    image::offers items
    image::frameworks rows "${CREATE[arch]}"
    items+=("${rows[@]}")
    ((${#items[@]} > 0)) || core::die "${EXIT_NOT_FOUND}" "the catalog has no image for this host" \
        "give the image with '--image'"
    known="${CREATE[asked_image]}"
    choice="$(menu::select ${known:+--default "${known}"} "New container" \
        "Which framework or image should '${CREATE[name]}' have?
The catalog's are for the architecture ${IMAGE_ARCHITECTURE}, the newest first." "${items[@]}")" || return
    CREATE[asked_image]="${choice}" CREATE[framework]='' CREATE[version]='' CREATE[image]=''
    # A framework's entry has its version behind a blank, which no image's name has.
    if [[ "${choice}" == *' '* ]]; then
        CREATE[framework]="${choice%% *}"
        CREATE[version]="${choice#* }"
    else
        CREATE[image]="${choice}"
        create::find_own_image
    fi
}

create::_step_gpus() {
    local json items=() choice text='' status i
    [[ -z "${CREATE[gpu_mem]}" && (-z "${CREATE[gpus]}" || -n "${CREATE[asked_gpus]}") ]] || return 2
    json="$(core::helper gpu_offers ${CREATE[framework]:+--framework "${CREATE[framework]}"} \
        ${CREATE[version]:+--version "${CREATE[version]}"} ${CREATE[image]:+--image "${CREATE[image]}"} \
        ${CREATE[arch]:+--arch "${CREATE[arch]}"})" || exit
    mapfile -t items < <(jq -r '.offers[] | .request, .text' <<< "${json}")
    ((${#items[@]} > 0)) || return 2
    guide::say gpus || return
    items=(default "$(jq -r .default <<< "${json}")" none "no GPU" "${items[@]}")
    while true; do
        choice="$(menu::select --default "${CREATE[asked_gpus]:-default}" "New container" \
            "Which GPU should '${CREATE[name]}' have?" "${items[@]}")" || return
        CREATE[asked_gpus]="${choice}" CREATE[gpus]="${choice}" CREATE[waits]=''
        [[ "${choice}" != default ]] || CREATE[gpus]=''
        for ((i = 0; i < ${#items[@]}; i += 2)); do
            [[ "${items[i]}" != "${choice}" ]] || text="${items[i + 1]}"
        done
        if [[ "${text}" == *'not now: '* ]]; then
            menu::message "New container" "'${choice}' cannot be had now: ${text#*not now: }." || return
            continue
        fi
        [[ "${text}" == *' queue' ]] || return 0
        status=0
        menu::confirm "New container" "'${choice}' cannot be had at once: you would be ${text##*; }.

Shall the command wait until it is your turn? Ctrl-C leaves the queue." || status=$?
        # No: another kind may do.
        ((status != 255)) || return 255
        ((status == 0)) || continue
        CREATE[waits]=yes
        return 0
    done
}

# The last look, and the place to change the folders.
create::_step_ready() {
    local choice folder key text status
    guide::say workspace || return
    [[ -n "${CREATE[workspace]}" ]] || CREATE[workspace]="${MLC_WORKSPACE_DIR}"
    [[ -n "${CREATE[data]}" ]] || CREATE[data]="${MLC_DATA_DIR}"
    [[ -n "${CREATE[models]}" ]] || CREATE[models]="${MLC_MODELS_DIR}"
    while true; do
        create::set_line
        text="$(core::print_words "${CREATE_LINE[@]}")"
        choice="$(menu::select --default create "New container" "This will run:
${text}" create "make '${CREATE[name]}'" workspace "/workspace is ${CREATE[workspace]}" \
            data "${CREATE[data]:+/data is }${CREATE[data]:-no folder as /data}" \
            models "${CREATE[models]:+/models is }${CREATE[models]:-no folder as /models}")" || return
        [[ "${choice}" != create ]] || return 0
        key="${choice}" folder="${CREATE[${choice}]}"
        [[ -d "${folder}" ]] || folder="${HOME}"
        status=0
        folder="$(menu::folder "Folder for /${key}" "${folder}")" || status=$?
        ((status != 255)) || return 255
        ((status == 0)) || continue
        CREATE["${key}"]="${folder}"
    done
}

# Put what was answered into words. Sets: CREATE_LINE.
create::set_line() {
    CREATE_LINE=("${COMMAND_NAME}" "${CREATE[name]}")
    [[ -z "${CREATE[framework]}" ]] || CREATE_LINE+=("${CREATE[framework]}")
    [[ -z "${CREATE[version]}" ]] || CREATE_LINE+=("${CREATE[version]}")
    # As it was called in the list.
    [[ -z "${CREATE[image]}" ]] || CREATE_LINE+=(--image "${CREATE[asked_image]:-${CREATE[image]}}")
    [[ -z "${CREATE[arch]}" ]] || CREATE_LINE+=(--arch "${CREATE[arch]}")
    [[ -z "${CREATE[gpus]}" ]] || CREATE_LINE+=(--gpus "${CREATE[gpus]}")
    [[ -z "${CREATE[gpu_mem]}" ]] || CREATE_LINE+=(--gpu-mem "${CREATE[gpu_mem]}")
    [[ -z "${CREATE[waits]}" ]] || CREATE_LINE+=("--wait${CREATE[wait]:+=${CREATE[wait]}}")
    [[ -z "${CREATE[workspace]}" || "${CREATE[workspace]}" == "${MLC_WORKSPACE_DIR}" ]] \
        || CREATE_LINE+=(--workspace "${CREATE[workspace]}")
    [[ -z "${CREATE[data]}" || "${CREATE[data]}" == "${MLC_DATA_DIR}" ]] || CREATE_LINE+=(--data "${CREATE[data]}")
    [[ -z "${CREATE[models]}" || "${CREATE[models]}" == "${MLC_MODELS_DIR}" ]] \
        || CREATE_LINE+=(--models "${CREATE[models]}")
    [[ -z "${CREATE[yes]}" ]] || CREATE_LINE+=(--yes)
    [[ -z "${CREATE[json]}" ]] || CREATE_LINE+=(--json)
    ((${#CREATE_COMMAND[@]} == 0)) || CREATE_LINE+=(-- "${CREATE_COMMAND[@]}")
}
