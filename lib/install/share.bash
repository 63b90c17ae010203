# shellcheck shell=bash
# Man pages and completion: made of the commands' headers, and linked to where man and the shells look for them.
: "${PROJECT_ROOT:?set by install.sh}" "${EXIT_BUG:?}" "${INSTALL_DRY_RUN?set by lib}"
# prefix, bin, config, state, log: see layout.bash
declare -A LAYOUT

# The folders below `share`, and what is in them.
declare -rA SHARE_KINDS=(["man/man1"]='man pages' ["bash-completion/completions"]='completion for bash'
    ["zsh/site-functions"]='completion for zsh' ["fish/vendor_completions.d"]='completion for fish')

# Make the pages in a copy of the program, as they will lie in the prefix.
share::stage() { # <program-folder>
    local python
    python="$(system::python)"
    # A dry run comes here before Python is installed.
    [[ -n "${python}" ]] || return 0
    "${python}" -sEB "$1/python/help_pages.py" share "$1/share" --root "${LAYOUT[prefix]}" \
        || core::die "${EXIT_BUG}" "cannot make the man pages"
}

# Where the links of one kind go: beside the folder of the commands. Prints: the folder, or nothing where no program
# would look beside that folder.
share::_folder() { # <kind>
    [[ "${LAYOUT[bin]##*/}" == bin ]] || return 0
    # fish does not look below /usr/local unless it is told to, but always in /etc.
    if [[ "$1" == fish/* && "${LAYOUT[bin]}" == /usr/local/bin && -d /etc/fish ]]; then
        printf '/etc/fish/completions\n'
    else
        printf '%s/share/%s\n' "${LAYOUT[bin]%/bin}" "$1"
    fi
}

# The links of this installation in a folder. Prints: each with a tab and its target.
share::_links() { # <folder>
    local link target
    [[ -d "$1" ]] || return 0
    while IFS=$'\t' read -r link target; do
        [[ "${target}" != "${LAYOUT[prefix]}/share/"* ]] || printf '%s\t%s\n' "${link}" "${target}"
    done < <(find "$1" -maxdepth 1 -type l -printf '%p\t%l\n')
}

# Link the pages of all kinds; take away links to those of commands that are gone.
share::link() {
    local kind folder file links missing pages
    pages="$(program::place share)"
    for kind in "${!SHARE_KINDS[@]}"; do
        folder="$(share::_folder "${kind}")"
        [[ -n "${folder}" ]] || continue
        links="$(share::_links "${folder}")"
        missing=()
        for file in "${pages}/${kind}"/*; do
            [[ -e "${file}" ]] || continue
            file="${file##*/}"
            [[ $'\n'"${links}" != *$'\n'"${folder}/${file}"$'\t'* ]] || continue
            if [[ -e "${folder}/${file}" || -L "${folder}/${file}" ]]; then
                core::info "kept '${folder}/${file}', which is not of this installation"
            else
                missing+=("${file}")
            fi
        done
        ((${#missing[@]} == 0)) \
            || install::act "link the ${SHARE_KINDS[${kind}]} in '${folder}'" share::_link "${kind}" "${folder}" "${missing[@]}"
        share::_unlink_gone "${pages}/${kind}" "${links}"
    done
}

share::_link() { # <kind> <folder> <file>...
    local kind="$1" folder="$2" file
    shift 2
    share::_make_folder "${folder}"
    for file in "$@"; do
        ln -sT -- "${LAYOUT[prefix]}/share/${kind}/${file}" "${folder}/${file}"
    done
}

# Make a folder; notes in the prefix which ones were not there before.
share::_make_folder() { # <folder>
    local folder="$1" made=()
    while [[ ! -d "${folder}" ]]; do
        made=("${folder}" "${made[@]}")
        folder="${folder%/*}"
    done
    ((${#made[@]} > 0)) || return 0
    mkdir -p -- "$1"
    chmod 755 -- "${made[@]}"
    printf '%s\n' "${made[@]}" >> "${LAYOUT[prefix]}/.folders"
}

share::_unlink_gone() { # <folder-of-pages> <links>
    local link target
    while IFS=$'\t' read -r link target; do
        [[ -z "${link}" || -e "$1/${target##*/}" ]] \
            || install::act "remove the link '${link}'" rm -f -- "${link}"
    done <<< "$2"
}

# Take all links away, and the folders that were made for them if nothing else is in them.
share::unlink() {
    local kind folder links made=() i
    for kind in "${!SHARE_KINDS[@]}"; do
        folder="$(share::_folder "${kind}")"
        [[ -n "${folder}" ]] || continue
        links="$(share::_links "${folder}" | cut -f 1)"
        [[ -z "${links}" ]] || mapfile -t links <<< "${links}"
        [[ -z "${links[0]}" ]] \
            || install::act "remove the ${SHARE_KINDS[${kind}]} in '${folder}'" rm -f -- "${links[@]}"
    done
    [[ -z "${INSTALL_DRY_RUN}" && -f "${LAYOUT[prefix]}/.folders" ]] || return 0
    mapfile -t made < "${LAYOUT[prefix]}/.folders"
    for ((i = ${#made[@]} - 1; i >= 0; i--)); do
        [[ ! -d "${made[i]}" ]] || rmdir -- "${made[i]}" 2> /dev/null || true
    done
    rm -f -- "${LAYOUT[prefix]}/.folders"
}
