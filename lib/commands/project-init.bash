# shellcheck shell=bash
# project-init: the folder of a new project from templates, with git, and on demand its image and container.
# shellcheck disable=SC2154 # the keys of PROJECT are no variables
: "${EXIT_LEFT:?}" "${EXIT_PREREQUISITE:?}" "${MLC_WORKSPACE_DIR?set by lib}" "${OPTIONS[help]?set by lib}" \
    "${OPTIONS_WORDS?set by lib}" "${PROJECT[name]?set by lib}" "${PROJECT_WORDS?set by lib}"

# Was anything asked?
PROJECT_ASKED=''

main() {
    local json
    options::parse "$@"
    options::fill PROJECT
    [[ -z "${OPTIONS[container]}" ]] || PROJECT[image]=yes
    [[ -z "${OPTIONS[no_git]}" ]] || PROJECT[git]=''
    PROJECT[name]="${OPTIONS_WORDS[0]:-}"

    if [[ -z "${PROJECT[name]}" ]]; then
        if [[ -n "${PROJECT[yes]}" ]] || ! core::is_interactive; then
            core::missing NAME
        fi
        PROJECT_ASKED=yes
        project::walk || menu::left
    elif [[ -n "${PROJECT[image]}" && -z "${PROJECT[framework]}${PROJECT[yes]}" ]] && core::is_interactive \
        && project::is_name "${PROJECT[name]}"; then
        PROJECT_ASKED=yes
        menu::walk project::ask_framework || menu::left
    fi
    project::set_words
    mlc::load

    project-init::_check
    core::run_pre_hooks name "${PROJECT[name]}" dir "${PROJECT[dir]}"
    [[ -n "${PROJECT[dry_run]}" || -z "${PROJECT[image]}" ]] || project-init::_base
    json="$(project-init::_files)" || exit
    if [[ -z "${PROJECT[dry_run]}" ]]; then
        [[ -z "${PROJECT[git]}" ]] || project-init::_git "${json}"
        project-init::_tell "${json}"
        [[ -z "${PROJECT[image]}" ]] || project-init::_image
        [[ -z "${PROJECT[container]}" ]] || project-init::_container
    else
        project-init::_tell "${json}"
    fi
    [[ -z "${PROJECT[json]}" ]] || printf '%s\n' "${json}"
    project-init::_tell_line
    guide::say next-project "${PROJECT[name]}"
    # Whoever was led here by another command's questions is told at the end of that one.
    [[ -n "${PROJECT[dry_run]}${DS01_ASKED:-}" ]] || project::tell_next "${PROJECT[dir]}"
}

# Fill the defaults and check what can be checked before anything is made.
project-init::_check() {
    local workspace="${MLC_WORKSPACE_DIR}"
    [[ -n "${PROJECT[type]}" ]] || PROJECT[type]=general
    [[ -n "${PROJECT[dir]}" ]] || PROJECT[dir]="${workspace}/${PROJECT[name]}"
    core::expand_home 'PROJECT[dir]' "${PROJECT[dir]}"
    # Other commands take a bare word for a folder of the workspace. Not resolved: a link stays what the person knows.
    PROJECT[dir]="$(realpath -ms -- "${PROJECT[dir]}")"
    PROJECT[workspace]="${workspace}"
    [[ -z "${PROJECT[git]}" ]] || type -P git > /dev/null \
        || core::die "${EXIT_PREREQUISITE}" "'git' is not installed" "run it again with '--no-git'"
    [[ -z "${PROJECT[image]}" || -n "${PROJECT[framework]}" ]] || project-init::_usual_framework
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
        --workspace "${PROJECT[workspace]}" ${PROJECT[dry_run]:+--dry-run}
}

# A repository with a first commit of what was written, where git knows who commits; one that is there already stays as
# it is, and what else is in the folder is the person's to add: it may be large, or secret.
project-init::_git() { # <json>
    local written git=(git -C "${PROJECT[dir]}")
    "${git[@]}" rev-parse --git-dir > /dev/null 2>&1 && return 0
    "${git[@]}" init --quiet || core::die "${EXIT_PREREQUISITE}" "git cannot make a repository in '${PROJECT[dir]}'" \
        "run 'project-init $(core::print_words "${PROJECT[name]}" --dir "${PROJECT[dir]}") --no-git' to do without"
    mapfile -t written < <(jq -r '.written[]' <<< "$1")
    ((${#written[@]} > 0)) || return 0
    if ! "${git[@]}" var GIT_COMMITTER_IDENT > /dev/null 2>&1; then
        core::info "nothing is committed yet: git does not know your name ('user-setup --only git' sets it)"
        return 0
    fi
    # What a .gitignore that was there leaves out stays out.
    if ! "${git[@]}" ls-files -z --others --exclude-standard -- "${written[@]}" | xargs -0r "${git[@]}" add -- \
        || ! "${git[@]}" commit --quiet --message "Begin ${PROJECT[name]}" >&2; then
        core::warn "git did not commit what was made in '${PROJECT[dir]}'"
    fi
    [[ -z "$("${git[@]}" ls-files --others --exclude-standard --directory 2> /dev/null)" ]] \
        || core::info "what else is in '${PROJECT[dir]}' is not in git: '$(core::print_words "${git[@]}" status)' shows it"
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

# An image needs its base; whoever is asked about that is asked before anything is made.
project-init::_base() {
    # A name that is none is told with the rest.
    project::is_name "${PROJECT[name]}" && [[ -n "${PROJECT[framework]}" ]] && ! project::has_image || return 0
    create::offer_base_of "${PROJECT[yes]}" --framework "${PROJECT[framework]}" \
        ${PROJECT[version]:+--version "${PROJECT[version]}"} && return
    project-init::_tell_line
    exit "${EXIT_LEFT}"
}

project-init::_image() {
    if project::has_image; then
        core::info "your image '${PROJECT[name]}' is there already; 'image-update ${PROJECT[name]}' changes it"
        return
    fi
    local words=()
    project::image_words words "${PROJECT[dir]}"
    project-init::_run "${words[@]}" ${PROJECT[yes]:+--yes}
}

project-init::_container() {
    if mlc::container_json "${PROJECT[name]}" > /dev/null 2>&1; then
        core::info "your container '${PROJECT[name]}' is there already"
        return
    fi
    project-init::_run container-create "${PROJECT[name]}" ${PROJECT[yes]:+--yes}
}

# Another command of DS01, which tells itself why it failed.
project-init::_run() { # <command> <word>...
    local status=0
    menu::run_command "$@" || status=$?
    ((status != 0)) || return 0
    project-init::_tell_line
    if ((status == EXIT_LEFT)); then
        core::info "left; the folder '${PROJECT[dir]}' stays"
        exit "${EXIT_LEFT}"
    fi
    core::die "${status}" "'$1' failed; the folder '${PROJECT[dir]}' stays" \
        "run '$(core::print_words "$@")' again when it is mended"
}

# Say the same in one line, if anything was asked.
project-init::_tell_line() {
    [[ -z "${PROJECT_ASKED}" ]] || core::same_in_words "${PROJECT_WORDS[@]}"
}
