# shellcheck shell=bash
# The program's files, its Python packages, links, configuration and folders.
: "${PROJECT_ROOT:?set by install.sh}" "${EXIT_PREREQUISITE:?}" "${EXIT_BUG:?}" "${CORE_TEMP?set by lib}" \
    "${INSTALL_USER?set by lib}" "${INSTALL_DRY_RUN?set by lib}"
# prefix, bin, config, state, log: see layout.bash
declare -A LAYOUT

# What of a checkout gets installed.
readonly PROGRAM_PARTS=(bin lib python config templates aime-ml-containers docs share install.sh requirements.txt VERSION LICENSE README.md)

PROGRAM_NEXT=''

# Put the program in place, as a whole and at once, if anything differs from what is there.
program::install() {
    local prefix="${LAYOUT[prefix]}" stage="${CORE_TEMP}/program" verb=install
    if [[ ! -e "${prefix}" && -f "${prefix}.old/.manifest" ]]; then
        install::act "put back '${prefix}', which an interrupted upgrade moved away" mv -T -- "${prefix}.old" "${prefix}"
    fi
    program::_stage "${stage}"
    if [[ -f "${prefix}/.manifest" ]] && cmp -s -- "${stage}/.manifest" "${prefix}/.manifest" \
        && program::_venv_is_current "${prefix}/venv"; then
        program::_manifest "${prefix}" > "${CORE_TEMP}/found"
        ! cmp -s -- "${CORE_TEMP}/found" "${stage}/.manifest" || return 0
    fi
    if [[ -f "${prefix}/VERSION" ]]; then
        verb="replace DS01 $(< "${prefix}/VERSION") by"
        ! cmp -s -- "${prefix}/VERSION" "${stage}/VERSION" || verb=renew
    fi
    install::act "${verb} DS01 $(< "${stage}/VERSION") in '${prefix}'" program::_replace "${stage}"
}

# Collect the files as they will lie, with the rights that all users need.
program::_stage() { # <folder>
    local part
    mkdir -- "$1"
    for part in "${PROGRAM_PARTS[@]}"; do
        [[ ! -e "${PROJECT_ROOT}/${part}" ]] || cp -R --preserve=timestamps -- "${PROJECT_ROOT}/${part}" "$1/"
    done
    find "$1" -depth -name __pycache__ -exec rm -rf -- {} +
    share::stage "$1"
    chmod -R u=rwX,go=rX -- "$1"
    parts::render "$1"
    program::_write_paths > "$1/paths.json"
    program::_manifest "$1" > "$1/.manifest"
}

# Where this installation keeps its files, for ds01/core/paths.py and for a later upgrade. Prints: JSON.
program::_write_paths() {
    local key folder
    # No jq: a dry run comes here before it is installed.
    printf '{'
    for key in config state log bin system; do
        folder="${LAYOUT[${key}]//\\/\\\\}"
        printf '"%s":"%s"' "${key/config/etc}" "${folder//\"/\\\"}"
        [[ "${key}" == system ]] || printf ','
    done
    printf '}\n'
}

# A line for each part, and for each file its rights or target, and its checksum. Prints: them, sorted.
program::_manifest() { # <folder>
    local part parts=()
    (
        cd -- "$1" || exit 1
        for part in "${PROGRAM_PARTS[@]}" paths.json; do
            [[ ! -e "${part}" ]] || parts+=("${part}")
        done
        printf 'part %s\n' "${parts[@]}"
        find "${parts[@]}" -name __pycache__ -prune -o -type f -printf '%m %p\n' -o -type l -printf '%l %p\n' | sort
        find "${parts[@]}" -name __pycache__ -prune -o -type f -print0 | sort -z | xargs -0 sha256sum
    )
}

# Where something of the program lies as it is to be: in what was staged, or in the prefix. Prints: its path.
program::place() { # <path-in-the-program>
    local staged="${CORE_TEMP}/program/$1"
    [[ -e "${staged}" ]] || staged="${LAYOUT[prefix]}/$1"
    printf '%s\n' "${staged}"
}

# What the Python packages depend on: the list and the interpreter. Prints: a checksum.
program::_venv_sum() {
    local python
    python="$(system::python)"
    { cat -- "${PROJECT_ROOT}/requirements.txt" && readlink -f -- "${python}" && "${python}" --version; } \
        | sha256sum | cut -d ' ' -f 1
}

program::_venv_is_current() { # <folder>
    [[ -r "$1/.requirements" && "$(< "$1/.requirements")" == "$(program::_venv_sum)" ]] \
        && "$1/bin/python3" -sE -c 'import h11, jinja2, packaging, tomli, yaml' 2> /dev/null
}

# Remove the half-built program of an installation that failed.
program::_drop_next() {
    rm -rf -- "${PROGRAM_NEXT}"
}

# Build the new program beside the old one, then swap the two.
program::_replace() { # <stage>
    local prefix="${LAYOUT[prefix]}" next name
    next="${prefix}.new"
    mkdir -p -- "$(dirname -- "${prefix}")"
    rm -rf -- "${next}"
    PROGRAM_NEXT="${next}"
    core::on_exit program::_drop_next
    cp -R --preserve=timestamps,mode -- "$1" "${next}"
    chmod 755 "${next}"
    if program::_venv_is_current "${prefix}/venv"; then
        cp -a --link -- "${prefix}/venv" "${next}/venv"
    else
        program::_make_venv "${next}/venv"
    fi
    # Users cannot write here, so that Python would compile at every start.
    "${next}/venv/bin/python3" -sE -m compileall -q -s "${next}" -p "${prefix}" "${next}/python" "${next}/aime-ml-containers" \
        || core::die "${EXIT_BUG}" "cannot compile the Python files in '${next}'"
    if [[ -d "${prefix}" ]]; then
        # What the administrator put there goes along.
        while IFS= read -r -d '' name; do
            [[ -e "${next}/${name}" || "${name}" == venv ]] || grep -qxF "part ${name}" "${prefix}/.manifest" \
                || cp -a -- "${prefix}/${name}" "${next}/"
        done < <(find "${prefix}" -mindepth 1 -maxdepth 1 -printf '%P\0')
        rm -rf -- "${prefix}.old"
        mv -T -- "${prefix}" "${prefix}.old"
    fi
    if ! mv -T -- "${next}" "${prefix}"; then
        [[ ! -d "${prefix}.old" ]] || mv -T -- "${prefix}.old" "${prefix}"
        core::die "${EXIT_BUG}" "cannot move '${next}' to '${prefix}'"
    fi
    rm -rf -- "${prefix}.old"
}

# Install the pinned Python packages into a virtual environment that holds nothing else.
program::_make_venv() { # <folder>
    local log="${CORE_TEMP}/pip.log" python
    python="$(system::python)"
    if ! { "${python}" -m venv "$1" \
        && "$1/bin/python3" -sE -m pip install --quiet --disable-pip-version-check --requirement "${PROJECT_ROOT}/requirements.txt" \
        && "$1/bin/python3" -sE -m pip uninstall --quiet --yes setuptools pip; } > "${log}" 2>&1; then
        tail -n 10 -- "${log}" >&2
        core::die "${EXIT_PREREQUISITE}" 'cannot install the Python packages of requirements.txt' \
            'check that this host reaches PyPI, or set PIP_INDEX_URL or PIP_FIND_LINKS'
    fi
    # Their paths are wrong once the folder moves; nobody calls them.
    rm -f -- "$1"/bin/activate* "$1"/bin/Activate* "$1"/bin/pip*
    chmod -R u=rwX,go=rX -- "$1"
    program::_venv_sum > "$1/.requirements"
}

# Link the commands into the folder that is on people's PATH; take away links to commands that are gone.
program::link() {
    local file link target bin="${LAYOUT[bin]}"
    for file in "${PROJECT_ROOT}"/bin/*; do
        link="${bin}/${file##*/}"
        target="${LAYOUT[prefix]}/bin/${file##*/}"
        [[ "$(readlink -- "${link}" || true)" == "${target}" ]] \
            || install::act "link '${link}'" program::_link "${target}" "${link}"
    done
    for link in "${bin}"/*; do
        target="$(readlink -- "${link}" || true)"
        if [[ "${target}" == "${LAYOUT[prefix]}/bin/"* && ! -e "${PROJECT_ROOT}/bin/${target##*/}" ]]; then
            install::act "remove the link '${link}'" rm -f -- "${link}"
        fi
    done
}

program::_link() { # <target> <link>
    mkdir -p -- "${2%/*}"
    ln -sfnT -- "$1" "$2"
}

# Copy configuration that is not there yet; what is there belongs to the administrator.
program::configure() {
    local file own folder="${LAYOUT[config]}"
    [[ -d "${folder}" ]] || install::act "make '${folder}'" install -d -m 755 -- "${folder}"
    for file in "${PROJECT_ROOT}"/config/*; do
        [[ -f "${file}" ]] || continue
        own="${folder}/${file##*/}"
        if [[ ! -e "${own}" ]]; then
            install::act "make '${own}'" install -m 644 -- "${file}" "${own}"
        elif ! cmp -s -- "${file}" "${own}"; then
            core::info "kept your '${own}'; compare it with '${LAYOUT[prefix]}/config/${file##*/}'"
        fi
    done
    [[ -d "${folder}/hooks.d" ]] || install::act "make '${folder}/hooks.d'" install -d -m 755 -- "${folder}/hooks.d"
}

# Make the folders of records and logs, which all users of the engine write.
program::make_folders() {
    # In a folder of several people's, new files belong to the group of the folder.
    local folder group='' mode=2775 words=() text=''
    if [[ -n "${INSTALL_USER}" ]]; then
        mode=755
    elif ((EUID == 0)); then
        group="$(system::engine_group)"
        words=(-g "${group}")
        text=" for the group '${group}'"
    fi
    for folder in "${LAYOUT[state]}" "${LAYOUT[state]}/container-metadata" "${LAYOUT[log]}"; do
        [[ "$(stat --format '%a' -- "${folder}" 2> /dev/null || true)" == "${mode}" ]] \
            && [[ -z "${group}" || "$(stat --format '%G' -- "${folder}")" == "${group}" ]] \
            || install::act "make '${folder}'${text}" install -d -m "${mode}" "${words[@]}" -- "${folder}"
    done
}
