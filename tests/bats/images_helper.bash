# shellcheck shell=bash
# Images for bats tests: small tiers, and one image that is built once in a run of the tests.
: "${ROOT:?load helper first}"

# Small tiers instead of those that are shipped, so that a build takes seconds.
small_tiers() {
    cat > "${DS01_ROOT}/etc/ds01/packages.yaml" << 'END'
version: 1
tiers:
  small: {title: Small things, pip: [six]}
use_cases:
  colour: {title: Colours, pip: [colorama]}
  pairs: {title: Pairs, pip: [toolz]}
END
}

# An image with the small tier, a field and a package of its own: the engine has its layers after the first time.
make_image() { # <name> [<word>...]
    small_tiers
    "${BIN}/image-create" "$1" --framework Debian --type colour --packages iniconfig --quiet "${@:2}"
}

# The image `demo`, built once in a run of the tests; its source in this test's home.
demo_image() {
    local kept="${BATS_RUN_TMPDIR}/demo-source"
    small_tiers
    if [[ -d "${kept}" ]] && docker image inspect ds01t-kept/demo > /dev/null 2>&1; then
        docker tag ds01t-kept/demo ds01/root/demo
    else
        make_image demo
        docker tag ds01/root/demo ds01t-kept/demo
        rm -rf "${kept}" "${kept}-state"
        cp -a "${HOME}/ds01/images/demo" "${kept}"
        cp -a "${HOME}/.local/state/ds01" "${kept}-state"
    fi
    mkdir -p "${HOME}/ds01/images" "${HOME}/.local/state/ds01"
    # With BuildKit, the name of the user's cache stands in the Dockerfile.
    [[ ! -e "${kept}-state/build-cache" ]] || cp -a "${kept}-state/build-cache" "${HOME}/.local/state/ds01/"
    rm -rf "${HOME}/ds01/images/demo"
    cp -a "${kept}" "${HOME}/ds01/images/demo"
}

# Remove the images of the tests' users, and their containers first.
teardown_images() {
    local found
    teardown_engine
    [[ "${DOCKER_HOST:-}" == "unix://${BENCH_DIR:-none}/"* ]] || return 0
    mapfile -t found < <(docker images --filter label=ds01.image.name --format '{{.Repository}}:{{.Tag}}' \
        | grep -E '^ds01/[^/]+/[^/]+:latest$' || true)
    ((${#found[@]} == 0)) || docker rmi --force --no-prune "${found[@]}" > /dev/null 2>&1 || true
}

# The id of one of root's images. Prints: nothing where there is none.
image_id() { # <name>
    docker image inspect --format '{{.Id}}' "ds01/root/$1" 2> /dev/null || true
}
