# shellcheck shell=bash
# image-base: build the offline base image from Debian's packages, streamed straight into the engine.

: "${CORE_QUIET?}" "${CORE_TEMP?set by lib}" "${EXIT_BUG?}" "${EXIT_LEFT?}" "${EXIT_OK?}" "${EXIT_PREREQUISITE?}" \
    "${OPTIONS[help]?set by lib}"

readonly IMAGE_BASE_NAME=ds01/debian:bookworm IMAGE_BASE_SUITE=bookworm
# What every container of DS01 needs inside (the prepared image adds nothing to it), and git for people.
readonly IMAGE_BASE_PACKAGES=python3,sudo,git,procps,ca-certificates

main() {
    options::parse "$@"
    local mirror="${OPTIONS[mirror]}"
    [[ -z "${mirror}" || "${mirror}" =~ ^(https?|file)://[^[:space:]]+$ ]] \
        || core::usage_error "'${mirror}' is not the address of a mirror"

    image-base::_set_words "${mirror}"
    if [[ -n "${OPTIONS[dry_run]}" ]]; then
        printf '%s | ' "${IMAGE_BASE_WORDS[*]@Q}"
        docker::print_import "${IMAGE_BASE_SUITE}"
        exit "${EXIT_OK}"
    fi
    docker::require
    docker::require_engine
    if [[ -z "${OPTIONS[rebuild]}" ]] && docker::has_image "${IMAGE_BASE_NAME}"; then
        core::info "image '${IMAGE_BASE_NAME}' is there already"
        printf '%s\n' "${IMAGE_BASE_NAME}"
        exit "${EXIT_OK}"
    fi
    if ! type -P mmdebstrap > /dev/null || [[ ! -e /usr/share/keyrings/debian-archive-keyring.gpg ]]; then
        core::die "${EXIT_PREREQUISITE}" "'mmdebstrap' or the keys of Debian's archive are not installed" \
            "run 'sudo apt-get install mmdebstrap debian-archive-keyring'"
    fi

    core::run_pre_hooks image "${IMAGE_BASE_NAME}"
    image-base::_build
    printf '%s\n' "${IMAGE_BASE_NAME}"
}

# The words that write the image's file system to stdout. Sets: IMAGE_BASE_WORDS.
image-base::_set_words() { # <mirror>
    IMAGE_BASE_WORDS=(
        mmdebstrap --verbose --variant=minbase "--include=${IMAGE_BASE_PACKAGES}"
        '--aptopt=Acquire::Languages "none"' --dpkgopt=path-exclude=/usr/share/man/*
        --dpkgopt=path-exclude=/usr/share/locale/*
        "${IMAGE_BASE_SUITE}" - ${1:+"$1"}
    )
}

# Build, and name the image only when all of it arrived: a failure or Ctrl-C leaves the old image, or none.
image-base::_build() {
    local id='' status=0 log said reader interrupted=''
    core::make_temp
    log="${CORE_TEMP}/log"
    # What a killed earlier run may have left is unnamed, and known by its label.
    docker::prune_imports "${IMAGE_BASE_SUITE}"
    core::info "building '${IMAGE_BASE_NAME}' from Debian's packages: about a minute"
    exec {said}> >(trap '' INT && image-base::_hear "${log}")
    reader=$!
    # Ctrl-C reaches mmdebstrap and docker too, which clear up what is theirs.
    trap 'interrupted=yes' INT
    id="$(image-base::_stream 2>&"${said}" {said}>&-)" || status=$?
    exec {said}>&-
    wait "${reader}" 2> /dev/null || true
    if ((status != 0)) || [[ -n "${interrupted}" ]]; then
        [[ -z "${id}" ]] || docker::remove_image "${id}"
        [[ -z "${interrupted}" ]] || image-base::_leave
        image-base::_explain "${log}"
    fi
    trap - INT
    docker::tag_image "${id}" "${IMAGE_BASE_NAME}" || {
        docker::remove_image "${id}"
        core::die "${EXIT_BUG}" "cannot name the new image '${IMAGE_BASE_NAME}'"
    }
    docker::prune_imports "${IMAGE_BASE_SUITE}"
    core::info "image '${IMAGE_BASE_NAME}' is ready"
}

# Have the image written and taken by the engine. Prints: its id.
image-base::_stream() {
    # The default again, which a trap is not for a child that was not there yet.
    trap - INT
    "${IMAGE_BASE_WORDS[@]}" | docker::import "${IMAGE_BASE_SUITE}" 2> "${CORE_TEMP}/log.import"
}

# Keep what mmdebstrap says, and hand it on to who shows a gauge of it.
image-base::_hear() { # <log>
    if [[ "${DS01_PROGRESS:-}" == lines ]]; then
        tee -- "$1" | sed -u 's/^/mmdebstrap: /' >&2
    else
        cat > "$1"
    fi
}

# Leave after Ctrl-C.
image-base::_leave() {
    # An engine may still make an image of what it had got, after its client has gone.
    docker::prune_imports "${IMAGE_BASE_SUITE}"
    core::info "the build was ended; nothing of it stays"
    exit "${EXIT_LEFT}"
}

# Say why the build failed, in the words of the program that failed, and leave.
image-base::_explain() { # <log>
    local reason hint='look at the messages above and try again'
    tail -n 5 -- "$1" | sed 's/^/    /' >&2
    reason="$(grep -v '^$' -- "$1.import" | tail -n 1 || true)"
    [[ -n "${reason}" ]] || reason="$(grep '^E: ' -- "$1" | tail -n 1 || true)"
    ((EUID == 0)) || hint="run 'sudo image-base'"
    core::die "${EXIT_PREREQUISITE}" "cannot build '${IMAGE_BASE_NAME}': ${reason:-see above}" "${hint}"
}
