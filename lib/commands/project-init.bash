# shellcheck shell=bash
# project-init: the folder of a new project from templates, with git, and on demand its image and container.
# shellcheck disable=SC2154 # the keys of PROJECT are no variables
: "${EXIT_OK:?}" "${EXIT_PREREQUISITE:?}" "${MLC_WORKSPACE_DIR?set by lib}"

# What flags and menus fill.
declare -A PROJECT=([name]='' [type]='' [dir]='' [image]='' [container]='' [framework]='' [version]='' [git]=yes
    [dry_run]='' [json]='' [yes]='')

main() {
    local words=() json asked=''
    while (($# > 0)); do
        case "$1" in
            -h | --help) core::help && exit "${EXIT_OK}" ;;
            -t | --type) core::need_value "$1" "$#" "${2:-}" && PROJECT[type]="$2" && shift 2 ;;
            --type=*) core::need_value --type 2 "${1#*=}" && PROJECT[type]="${1#*=}" && shift ;;
            --dir) core::need_value "$1" "$#" "${2:-}" && PROJECT[dir]="$2" && shift 2 ;;
            --dir=*) core::need_value --dir 2 "${1#*=}" && PROJECT[dir]="${1#*=}" && shift ;;
            -f | --framework) core::need_value "$1" "$#" "${2:-}" && PROJECT[framework]="$2" && shift 2 ;;
            --framework=*) core::need_value --framework 2 "${1#*=}" && PROJECT[framework]="${1#*=}" && shift ;;
            -v | --version) core::need_value "$1" "$#" "${2:-}" && PROJECT[version]="$2" && shift 2 ;;
            --version=*) core::need_value --version 2 "${1#*=}" && PROJECT[version]="${1#*=}" && shift ;;
            --image) PROJECT[image]=yes && shift ;;
            --container) PROJECT[container]=yes PROJECT[image]=yes && shift ;;
            --no-git) PROJECT[git]='' && shift ;;
            --guided) guide::on && shift ;;
            --dry-run) PROJECT[dry_run]=yes && shift ;;
            --json) PROJECT[json]=yes && shift ;;
            -y | --yes) PROJECT[yes]=yes && shift ;;
            -q | --quiet) core::be_quiet && shift ;;
            --) shift && words+=("$@") && break ;;
            -*) core::unknown_option "$1" ;;
            *) words+=("$1") && shift ;;
        esac
    done
    ((${#words[@]} <= 1)) || core::usage_error "unexpected word '${words[1]}'"
    PROJECT[name]="${words[0]:-}"

    if [[ -z "${PROJECT[name]}" ]]; then
        core::is_interactive || core::missing NAME
        asked=yes
        menu::walk project-init::_ask_name project-init::_ask_type project-init::_ask_more || menu::left
    fi
    mlc::load

    project-init::_check
    core::run_pre_hooks name "${PROJECT[name]}" dir "${PROJECT[dir]}"
    json="$(project-init::_files)" || exit
    if [[ -z "${PROJECT[dry_run]}" ]]; then
        [[ -z "${PROJECT[git]}" ]] || project-init::_git
        project-init::_tell "${json}"
        [[ -z "${PROJECT[image]}" ]] || project-init::_image
        [[ -z "${PROJECT[container]}" ]] || project-init::_container
    else
        project-init::_tell "${json}"
    fi
    [[ -z "${PROJECT[json]}" ]] || printf '%s\n' "${json}"
    [[ -z "${asked}" ]] || core::same_in_words "${PROJECT_WORDS[@]}"
    guide::say next-project "${PROJECT[name]}"
}

project-init::_ask_name() {
    guide::say project
    local answer="${PROJECT[name]}"
    while true; do
        answer="$(menu::input "New project" "A name for the project (lower-case letters, digits, - and _):" "${answer}")" \
            || return
        # As python/project_files.py checks it.
        ((${#answer} <= 40)) && [[ "${answer}" =~ ^[a-z0-9]+([_-][a-z0-9]+)*$ ]] && break
        menu::message "New project" "'${answer}' is not a name for a project: use lower-case letters and digits, parts joined\
 by single '-' or '_', at most 40." || return
    done
    PROJECT[name]="${answer}"
}

project-init::_ask_type() {
    local json items=()
    json="$(core::helper project_files types)" || exit
    mapfile -t items < <(jq -r '.types[] | .name, .title' <<< "${json}")
    PROJECT[type]="$(menu::select --default "${PROJECT[type]:-general}" "New project" \
        "What kind of project is '${PROJECT[name]}'?" "${items[@]}")" || return
}

project-init::_ask_more() {
    local chosen
    chosen="$(menu::checklist "New project" "What should it have? (space marks)" \
        git "a git repository" "$(project-init::_mark git)" \
        image "an image with its own packages" "$(project-init::_mark image)" \
        container "a container from that image, ready to run" "$(project-init::_mark container)")" || return
    PROJECT[git]='' PROJECT[image]='' PROJECT[container]=''
    [[ "${chosen}" != *git* ]] || PROJECT[git]=yes
    [[ "${chosen}" != *image* ]] || PROJECT[image]=yes
    [[ "${chosen}" != *container* ]] || PROJECT[image]=yes PROJECT[container]=yes
}

project-init::_mark() { # <key>
    [[ -n "${PROJECT[$1]}" ]] && printf 'on\n' || printf 'off\n'
}

# Fill the defaults and check what can be checked before anything is made. Sets: PROJECT_WORDS, the same in one line.
project-init::_check() {
    local workspace="${MLC_WORKSPACE_DIR}"
    [[ -n "${PROJECT[type]}" ]] || PROJECT[type]=general
    [[ -n "${PROJECT[dir]}" ]] || PROJECT[dir]="${workspace}/${PROJECT[name]}"
    [[ "${PROJECT[dir]}" != '~'* ]] || PROJECT[dir]="${HOME}${PROJECT[dir]#\~}"
    PROJECT[workspace]="${workspace}"
    [[ -z "${PROJECT[git]}" ]] || type -P git > /dev/null \
        || core::die "${EXIT_PREREQUISITE}" "'git' is not installed" "run it again with '--no-git'"
    [[ -z "${PROJECT[image]}" || -n "${PROJECT[framework]}" ]] || { [[ -z "${PROJECT[yes]}" ]] && core::is_interactive; } \
        || project-init::_usual_framework
    PROJECT_WORDS=(project-init "${PROJECT[name]}")
    [[ "${PROJECT[type]}" == general ]] || PROJECT_WORDS+=(--type "${PROJECT[type]}")
    [[ "${PROJECT[dir]}" == "${workspace}/${PROJECT[name]}" ]] || PROJECT_WORDS+=(--dir "${PROJECT[dir]}")
    [[ -n "${PROJECT[git]}" ]] || PROJECT_WORDS+=(--no-git)
    if [[ -n "${PROJECT[container]}" ]]; then
        PROJECT_WORDS+=(--container)
    elif [[ -n "${PROJECT[image]}" ]]; then
        PROJECT_WORDS+=(--image)
    fi
    [[ -z "${PROJECT[framework]}" ]] || PROJECT_WORDS+=(--framework "${PROJECT[framework]}")
    [[ -z "${PROJECT[version]}" ]] || PROJECT_WORDS+=(--version "${PROJECT[version]}")
}

# The framework that most take, of those that run on this host. Sets: PROJECT[framework].
project-init::_usual_framework() {
    local json
    json="$(core::helper catalog list)" || exit
    PROJECT[framework]="$(jq -r '[.images[].framework] | if index("Pytorch") then "Pytorch" else .[0] // "" end' <<< "${json}")"
}

# Write what the folder lacks. Prints: what was written, as JSON.
project-init::_files() {
    core::helper project_files make "${PROJECT[name]}" --type "${PROJECT[type]}" --folder "${PROJECT[dir]}" \
        --workspace "${PROJECT[workspace]}" ${PROJECT[image]:+--image} ${PROJECT[dry_run]:+--dry-run}
}

# A repository with a first commit where git knows who commits; one that is there already stays as it is.
project-init::_git() {
    git -C "${PROJECT[dir]}" rev-parse --git-dir > /dev/null 2>&1 && return 0
    git -C "${PROJECT[dir]}" init --quiet || core::die "${EXIT_PREREQUISITE}" "git cannot make a repository in '${PROJECT[dir]}'"
    git -C "${PROJECT[dir]}" add --all
    git -C "${PROJECT[dir]}" commit --quiet --message "Begin ${PROJECT[name]}" 2> /dev/null \
        || core::info "nothing is committed yet: git does not know your name ('user-setup --only git' sets it)"
}

project-init::_tell() { # <json>
    local verb=made folder files
    [[ -z "${PROJECT[dry_run]}" ]] || verb='would be made'
    folder="$(jq -r .folder <<< "$1")"
    files="$(jq -r '.written | join(", ")' <<< "$1")"
    if [[ -n "${files}" ]]; then
        core::info "in '${folder}' ${verb}: ${files}"
    else
        core::info "in '${folder}' nothing is missing"
    fi
}

project-init::_image() {
    local words=("${PROJECT[name]}" --project "${PROJECT[dir]}" --requirements "${PROJECT[dir]}/requirements.txt")
    [[ "${PROJECT[type]}" == general ]] || words+=(--type "${PROJECT[type]}")
    [[ -z "${PROJECT[framework]}" ]] || words+=(--framework "${PROJECT[framework]}")
    [[ -z "${PROJECT[version]}" ]] || words+=(--version "${PROJECT[version]}")
    project-init::_run image-create "${words[@]}" ${PROJECT[yes]:+--yes}
}

project-init::_container() {
    project-init::_run container-create "${PROJECT[name]}" ${PROJECT[yes]:+--yes}
}

# Another command of DS01; what it prints is not this one's result.
project-init::_run() { # <command> <word>...
    env -u COMMAND_NAME "${PROJECT_ROOT}/bin/$1" "${@:2}" ${CORE_QUIET:+--quiet} >&2 \
        || core::die $? "'$1' failed; the folder '${PROJECT[dir]}' stays" "run '$1 ${PROJECT[name]}' again when it is mended"
}
