# shellcheck shell=bash
# How a container comes to be: the words for it, the choice of its image, mlc create through the gateway, and the check
# with the engine of what was really made. Used by container-create, container-run and container-import.
: "${CORE_TEMP?set by lib}" "${EXIT_BUG:?}" "${EXIT_LEFT:?}" "${EXIT_NOT_FOUND:?}" "${EXIT_OK:?}" \
    "${EXIT_PREREQUISITE:?}" "${EXIT_REFUSED:?}" "${EXIT_USAGE:?}" "${MENU_BACK?set by lib}" \
    "${MLC_DATA_DIR?set by lib}" "${MLC_HOME?set by lib}" "${MLC_IS_OURS?set by lib}" "${MLC_MODELS_DIR?set by lib}" \
    "${MLC_WORKSPACE_DIR?set by lib}" "${OPTIONS[help]?set by lib}" "${PROJECT_ROOT:?set by lib/run-command}"

# What flags and menus fill; `otherwise` is the hint for a framework that is none.
declare -A CREATE=([name]='' [framework]='' [version]='' [image]='' [arch]='' [gpus]='' [workspace]='' [data]=''
    [models]='' [dry_run]='' [yes]='' [gpu_mem]='' [waits]='' [wait]='' [gpu_request]='' [start_request]='' [json]=''
    [asked_image]='' [asked_gpus]='' [otherwise]='')
# The image that a word which is none most likely meant.
CREATE_CLOSE=''
# The status of a create that mlc failed at.
CREATE_FAILURE="${EXIT_BUG}"
# What is known before anything is made, and what the engine made, as JSON.
CREATE_PLAN='' CREATE_MADE=''
# Set while a create is in flight: the engine's name of the container.
CREATE_PENDING=''

# Take the options that make a container, those of them that the command has.
create::take_options() {
    options::fill CREATE
    CREATE[waits]="${OPTIONS[wait]}" CREATE[wait]="${OPTIONS[wait_value]:-}"
}

# Check a container's name as mlc and the engine both accept it.
create::check_name() { # <name>
    [[ "$1" =~ ^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$ ]] \
        || core::die "${EXIT_USAGE}" "'$1' is not a name for a container" \
            "use letters, digits, '_' and '-', at most 63, beginning with a letter or digit"
}

# The engine's name of one of the caller's containers.
create::engine_name() { # <name>
    printf '%s._.%s\n' "$1" "${UID}"
}

# Take the words NAME [FRAMEWORK [VERSION]].
create::take_words() { # [<word>...]
    CREATE[name]="${1:-}" CREATE[framework]="${2:-}" CREATE[version]="${3:-}"
    [[ -z "${CREATE[image]}" || -z "${CREATE[framework]}" ]] \
        || core::usage_error "give a framework or '--image', not both"
    [[ -z "${CREATE[name]}" ]] || create::check_name "${CREATE[name]}"
}

# An image of the user's, or one that is shared, may be named by its short name; without a word about it, the image
# that is called like the container is meant. Sets: CREATE[image].
create::find_own_image() {
    local json word="${CREATE[image]}"
    [[ -z "${CREATE[framework]}" && -n "${word}${CREATE[name]}" ]] || return 0
    # A name with a tag, or with more than an owner, is the engine's.
    [[ "${word}" != *:* && "${word}" != */*/* ]] || return 0
    json="$(core::helper images resolve -- "${word:-${CREATE[name]}}")" || exit
    if ! core::is_true "${json}" found; then
        # It may be an image of a registry; where it is none, this one was meant.
        [[ -z "${word}" ]] || core::member CREATE_CLOSE "${json}" close
        return 0
    fi
    [[ -n "${word}" ]] || core::is_true "${json}" mine || return 0
    core::member 'CREATE[image]' "${json}" reference
    [[ -n "${word}" ]] || core::info "taking your image '${CREATE[name]}', which is called like the container"
}

# Have everything worked out that can be known before mlc is called; with the plan the container's record is begun. For
# container-run the plan may be a container that is there. Sets: CREATE_PLAN and what it says of CREATE.
create::plan() { # [<word of container_create plan>...]
    local key words=("$@") own
    [[ -z "${CREATE_PLAN}" ]] || return 0
    docker::require
    core::make_temp
    for key in framework version image arch otherwise gpus workspace data models; do
        [[ -z "${CREATE[${key}]}" ]] || words+=("--${key}=${CREATE[${key}]}")
    done
    [[ -z "${CREATE[gpu_mem]}" ]] || words+=("--gpu-mem=${CREATE[gpu_mem]}")
    [[ -z "${CREATE[waits]}" ]] || words+=("--wait=${CREATE[wait]}")
    [[ -z "${CREATE[dry_run]}" ]] || words+=(--dry-run)
    CREATE_PLAN="$(core::helper container_create plan "${CREATE[name]}" --owner-pid "$$" \
        --overlay "${CORE_TEMP}/mlc" "${words[@]}")" || exit
    # What only tells of a container that is there, or that nothing says what a new one is made of, has begun nothing.
    if [[ "${CREATE_PLAN}" == *'"gpu_request":'* && -z "${CREATE[dry_run]}" ]]; then
        CREATE_PENDING="$(create::engine_name "${CREATE[name]}")"
        core::on_exit create::_abandon
    fi
    mlc::load "${CREATE_PLAN}"
    [[ "${CREATE_PLAN}" == *'"gpu_request":'* ]] || return 0
    for key in framework version image arch gpus gpu_request workspace data models; do
        core::member "CREATE[${key}]" "${CREATE_PLAN}" "${key}"
    done
    core::member CREATE_CLOSE "${CREATE_PLAN}" close
    core::member own "${CREATE_PLAN}" takes_own
    [[ -z "${own}" ]] || core::info "taking your image '${own}', which is called like the container"
}

# Make the workspace folder of the settings, the only one that may be missing: once there is nothing left to ask.
create::_make_workspace() {
    mkdir -p -- "${CREATE[workspace]}" \
        || core::die "${EXIT_REFUSED}" "the workspace folder '${CREATE[workspace]}' cannot be made"
}

# Turn what was asked of GPUs into docker's words, which mlc hands on. Sets: CREATE[gpus], and in short CREATE[gpu_request].
create::ask_gpus() {
    local json
    [[ -n "${CREATE[gpus]}${CREATE[gpu_mem]}${CREATE[waits]}" ]] || return 0
    json="$(core::helper gpu_words ${CREATE[gpus]:+--gpus "${CREATE[gpus]}"} \
        ${CREATE[gpu_mem]:+--gpu-mem "${CREATE[gpu_mem]}"} ${CREATE[waits]:+--wait "${CREATE[wait]}"})" || exit
    core::member 'CREATE[gpus]' "${json}" docker
    core::member 'CREATE[gpu_request]' "${json}" request
}

# The words of the mlc that makes the container. Sets: CREATE_WORDS.
create::_words() { # <overlay-folder>
    CREATE_WORDS=(python3 "$1/mlc.py" create "${CREATE[name]}" "${CREATE[framework]}" "${CREATE[version]}" -s)
    CREATE_WORDS+=(-arch "${CREATE[arch]}" -w "${CREATE[workspace]}")
    [[ -z "${CREATE[gpus]}" ]] || CREATE_WORDS+=(-g "${CREATE[gpus]}")
    [[ -z "${CREATE[data]}" ]] || CREATE_WORDS+=(-d "${CREATE[data]}")
    [[ -z "${CREATE[models]}" ]] || CREATE_WORDS+=(-m "${CREATE[models]}")
}

# Make the container that CREATE describes. All words are checked before anything is done. Everything that is said goes
# to stderr. Leaves with the reason if it cannot be made; then nothing of it is left.
create::container() {
    create::check_name "${CREATE[name]}"
    create::plan
    create::_words "${CORE_TEMP}/mlc"
    if [[ -n "${CREATE[dry_run]}" ]]; then
        CREATE_WORDS[1]="${MLC_HOME}/mlc.py"
        core::print_words "${CREATE_WORDS[@]}"
        exit "${EXIT_OK}"
    fi
    core::is_true "${CREATE_PLAN}" is_local || ! core::is_true "${CREATE_PLAN}" is_base \
        || create::offer_base "${CREATE[image]}" "${CREATE[yes]}" || exit
    create::_make_workspace
    core::run_pre_hooks name "${CREATE[name]}" image "${CREATE[image]}" framework "${CREATE[framework]}" \
        version "${CREATE[version]}" gpus "${CREATE[gpu_request]}" workspace "${CREATE[workspace]}"
    create::guarded "${CREATE_WORDS[@]}"
}

# The offline base image is built on the spot, so that a host without internet has something to run. Returns: 130 if the
# person does not want it, or ended it, in a step of menu::walk 1 or 255 where it is not wanted; leaves with the reason if
# it cannot be.
create::offer_base() { # <image> <yes, or empty to ask>
    local status=0
    if [[ -z "$2" ]]; then
        core::is_interactive || core::die "${EXIT_NOT_FOUND}" "image '$1' is not on this server" \
            "run 'image-base' to build it from Debian's packages, or add '--yes'"
        menu::confirm "Base image" \
            "The image '$1' is not on this server yet. Build it from Debian's packages now (half a minute)?" || status=$?
        if ((status != 0)); then
            [[ "${MENU_BACK}" != Back ]] || return "${status}"
            core::info "left without building the base image"
            return "${EXIT_LEFT}"
        fi
    fi
    if menu::has_gauge; then
        DS01_PROGRESS=lines menu::work "Base image" gauge::base "${PROJECT_ROOT}/bin/image-base" > /dev/null || status=$?
    else
        "${PROJECT_ROOT}/bin/image-base" >&2 || status=$?
    fi
    ((status == 0 || status == EXIT_LEFT)) || exit "${status}"
    return "${status}"
}

# The same, if it is what the words for an image mean and is not there.
create::offer_base_of() { # <yes, or empty to ask> <--framework or --image, its value and more words of catalog base>...
    local json image
    json="$(core::helper catalog base "${@:2}")" || exit
    core::member image "${json}" missing
    [[ -z "${image}" ]] || create::offer_base "${image}" "$1"
}

# Run one mlc command that makes the container CREATE[name], so that an interruption at any moment, even kill -9, leaves
# nothing that a second try trips over: the plan's record says who is making it. Afterwards Ctrl-C is ignored, until the
# caller has told what was made.
create::guarded() { # <word>...
    local status=0 failed words=("${CORE_TEMP}/refusal" "${CREATE[name]}")
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap 'exit 129' HUP
    if [[ -z "${CORE_QUIET}${CREATE[json]}" ]]; then words+=(yes); else words+=(""); fi
    words+=("${CREATE[image]}" "$@")
    if menu::has_gauge; then
        MLC_PROGRESS=lines menu::work "Container '${CREATE[name]}'" gauge::container mlc::make "${words[@]}" || status=$?
        trap 'exit 130' INT
        ((status != EXIT_LEFT)) || core::info "that was ended; nothing of container '${CREATE[name]}' stays"
    else
        mlc::make "${words[@]}" || status=$?
    fi
    mlc::tell_failure "${CORE_TEMP}/refusal"
    ((status < 128)) || exit "${status}"
    [[ -s "${CORE_TEMP}/refusal.made" ]] || create::_explain "${status}"
    CREATE_MADE="$(< "${CORE_TEMP}/refusal.made")"
    core::member failed "${CREATE_MADE}" failed
    [[ -z "${failed}" ]] || exit "${failed}"
    ((status == 0)) || core::warn "mlc ended with status ${status}, but the container is there"
    # From here on Ctrl-C comes too late, and 130 would mean that nothing was done.
    trap '' INT
    CREATE_PENDING=''
    trap - TERM HUP
}

# Leave, saying why no container was made: the gateway's own words if it refused, since mlc and docker reword them.
create::_explain() { # <mlc's status>
    local fields whose='your image' refusal="${CORE_TEMP}/refusal" text="container '${CREATE[name]}' was not made"
    # USER/NAME is somebody else's, who shares it.
    [[ "${CREATE_CLOSE}" != */* ]] || whose='the image'
    if [[ -s "${refusal}" ]]; then
        mapfile -t fields <<< "$(jq -r '.code, .message, .hint // ""' "${refusal}")"
        core::die "${fields[0]}" "${fields[1]}" "${fields[2]:-}"
    fi
    [[ -z "${CREATE_CLOSE}" ]] || core::die "${EXIT_NOT_FOUND}" \
        "${text}: there is no image '${CREATE[image]}'" \
        "did you mean ${whose} '${CREATE_CLOSE}'?"
    if [[ "${MLC_IS_OURS}" == true ]]; then
        # The statuses that aime-ml-containers/README.md gives to an image that cannot be fetched.
        case "$1" in
            3)
                core::die "${EXIT_NOT_FOUND}" "${text}: no registry gives the image '${CREATE[image]}'" \
                    "run 'container-create ${CREATE[name]}' and choose among the images that there are"
                ;;
            7)
                core::die "${EXIT_PREREQUISITE}" "${text}: the image '${CREATE[image]}' cannot be fetched" \
                    "try again later, or run 'container-create ${CREATE[name]}' and choose another image"
                ;;
            *) ;;
        esac
    fi
    core::die "${CREATE_FAILURE}" "${text}" "look at the lines above for the reason"
}

# Called when the command ends while a create is in flight.
create::_abandon() {
    [[ -n "${CREATE_PENDING}" ]] || return 0
    core::helper container_create abandon "${CREATE_PENDING}" --owner-pid "$$" > /dev/null
}

# Print for a person what was made and what to type next.
create::summary() {
    local text
    core::member text "${CREATE_MADE}" summary
    printf '%s\n' "${text}"
}

# Leave, because a file is not there or cannot be read; names the nearest exported one beside it.
create::_refuse_file() { # <file>
    local folder='' files=() near=''
    [[ "$1" != */* ]] || folder="${1%/*}/"
    if [[ ! -e "$1" ]]; then
        mapfile -t files < <(cd -- "${folder:-.}" 2> /dev/null && compgen -G '*.tar')
        near="$(nearest::word "${1##*/}" "${files[@]}")"
    fi
    [[ -z "${near}" ]] || core::die "${EXIT_NOT_FOUND}" "file '$1' cannot be read" "did you mean '${folder}${near}'?"
    core::die "${EXIT_NOT_FOUND}" "file '$1' cannot be read" "run '$(core::print_words ls -l "${folder:-.}")' to see what is there"
}

# Make a container from an exported file. Sets: CREATE[name] to what it is called.
create::import() { # <file> [<name>]
    local words
    [[ "$1" == - || -r "$1" ]] || create::_refuse_file "$1"
    CREATE[name]="$2"
    if [[ -z "${CREATE[name]}" ]]; then
        [[ "$1" != - ]] || core::missing "NAME, which must be given when the file comes from stdin"
        # A file that is not what it should be is refused by the import itself; here only the name is wanted.
        CREATE[name]="$(mlc::exported_name "$1")" \
            || core::die "${EXIT_REFUSED}" "file '$1' is not an exported container" \
                "run '$(core::print_words tar -tf "$1")' to see what is in it"
    fi
    create::check_name "${CREATE[name]}"
    create::plan --file "$1"
    words=(python3 "${PROJECT_ROOT}/aime-ml-containers/mlc.py" import "$1" "${CREATE[name]}" -s)
    words+=(-w "${CREATE[workspace]}")
    [[ -z "${CREATE[gpus]}" ]] || words+=(-g "${CREATE[gpus]}")
    [[ -z "${CREATE[data]}" ]] || words+=(-d "${CREATE[data]}")
    [[ -z "${CREATE[models]}" ]] || words+=(-m "${CREATE[models]}")
    create::_make_workspace
    core::run_pre_hooks name "${CREATE[name]}" file "$1" workspace "${CREATE[workspace]}"
    # What mlc refuses is the file, as a rule.
    CREATE_FAILURE="${EXIT_REFUSED}"
    create::guarded "${words[@]}"
}
