#!/usr/bin/env bats
# install.sh: prefixes of the test's own, and once a whole machine seen through overlays.
# shellcheck disable=SC2154 # ROOT is set by helper.bash, BATS_* by bats

load helper

setup_file() {
    # The tests have new homes; what one downloads serves the next.
    export PIP_CACHE_DIR="${BATS_FILE_TMPDIR}/pip"
}

setup() {
    setup_ds01
    unset DS01_ROOT DS01_USER SUDO_USER
    place="${BATS_TEST_TMPDIR}/plätze of ds01"
    mkdir -p -- "${place}"
    prefix="${place}/opt/ds01"
    into=(--no-system --prefix "${prefix}" --bin-dir "${place}/bin" --config-dir "${place}/etc" --state-dir "${place}/state"
        --log-dir "${place}/log" --system-dir "${place}/system")
}

teardown() {
    teardown_engine
}

# Everything below a folder with rights, times and contents, to compare before and after.
picture() { # <folder>
    find "$1" -printf '%p %m %u %g %l %T@\n' | sort
    find "$1" -type f -print0 | sort -z | xargs -0 -r sha256sum
}

# A copy of the checkout that can be changed. Sets: copy.
make_copy() {
    local part
    copy="${BATS_TEST_TMPDIR}/neue copy"
    mkdir -- "${copy}"
    for part in bin lib python config templates aime-ml-containers docs install.sh requirements.txt VERSION LICENSE; do
        [[ ! -e "${ROOT}/${part}" ]] || cp -R -- "${ROOT}/${part}" "${copy}/"
    done
}

@test "install.sh: prints its header as help" {
    run -0 "${ROOT}/install.sh" --help
    [[ "${output}" == *'Usage: install.sh [options]'* && "${output}" == *--purge* ]]
}

@test "install.sh: refuses wrong words" {
    run -2 --separate-stderr "${ROOT}/install.sh" --nonsense
    [[ "${stderr}" == *"install.sh: error: unknown option '--nonsense'"* ]]
    run -2 "${ROOT}/install.sh" word
    run -2 "${ROOT}/install.sh" --purge
    run -2 "${ROOT}/install.sh" --demo --uninstall
    run -2 "${ROOT}/install.sh" --prefix
    run -2 "${ROOT}/install.sh" --prefix=
}

@test "install.sh: refuses folders of the system, of people, of others" {
    local folder
    mkdir -p "${place}/mine" && touch "${place}/mine/thesis.tex"
    for folder in / /usr /etc /opt /usr/local/bin "${HOME}" "${HOME}/.config" "${HOME}/../${HOME##*/}/" "${place}/mine"; do
        run -4 --separate-stderr "${ROOT}/install.sh" "${into[@]}" --prefix "${folder}"
        [[ "${stderr}" == *"install.sh: error: '"* ]]
        run -4 "${ROOT}/install.sh" "${into[@]}" --state-dir "${folder}" --uninstall --purge
    done
    run -4 "${ROOT}/install.sh" "${into[@]}" --prefix "${place}/mine" --uninstall --purge
    run -4 "${ROOT}/install.sh" "${into[@]}" --config-dir "${place}/mine"
    run -4 "${ROOT}/install.sh" "${into[@]}" --log-dir "${place}/mine"
    [[ "$(ls -A "${place}")" == mine && -f "${place}/mine/thesis.tex" ]]
}

@test "install.sh: a dry run names each step and changes nothing" {
    picture "${place}" > "${BATS_TEST_TMPDIR}/before"
    run -0 --separate-stderr "${ROOT}/install.sh" "${into[@]}" --dry-run
    picture "${place}" > "${BATS_TEST_TMPDIR}/after"
    cmp "${BATS_TEST_TMPDIR}/before" "${BATS_TEST_TMPDIR}/after"
    [[ "${output}" == *"would install DS01 $(cat "${ROOT}/VERSION") in '${prefix}'"* ]]
    [[ "${output}" == *"would link '${place}/bin/container-run'"* ]]
    [[ "${output}" == *"would make '${place}/etc/resource-limits.yaml'"* ]]
    [[ "${output}" == *"would make '${place}/system/profile.d/ds01.sh'"* ]]
}

@test "install.sh: installs, changes nothing when run again, and uninstalls" {
    local before file
    umask 077
    "${ROOT}/install.sh" "${into[@]}"
    run -0 "${place}/bin/container" --help
    [[ "${output}" == *container-run* || "${output}" == *'run '* ]]
    run -0 "${place}/bin/ds01-config" check
    if type -P man > /dev/null; then
        run -0 env MANPATH="${place}/share/man" MANPAGER=cat man container-run
        [[ "${output}" == *'CONTAINER-RUN(1)'* ]]
    fi
    # What the completion of bash asks is the installed program, by its final place.
    run -0 bash -c 'source "$1"; COMP_WORDS=(container ru) COMP_CWORD=1 COMP_LINE="container ru" COMP_POINT=12
        _ds01_complete; printf "%s\n" "${COMPREPLY[@]}"' - "${place}/share/bash-completion/completions/container"
    [[ "${output}" == run ]]
    grep -qF "${prefix}" "${place}/share/zsh/site-functions/_ds01"
    grep -qF "${prefix}" "${place}/share/fish/vendor_completions.d/container-run.fish"
    [[ -x "${prefix}/venv/bin/python3" && "$(stat -c %a "${place}/etc/hooks.d")" == 755 ]]
    # Other users read the program whatever the administrator's umask is.
    [[ -z "$(find "${prefix}" ! -type l ! -perm -a=r)" && -z "$(find "${prefix}" -type d ! -perm -a=rx)" ]]

    # What goes into the system's folders names this installation, and no other.
    for file in cron.d/ds01 logrotate.d/ds01 profile.d/ds01.sh; do
        [[ "$(stat -c %a "${place}/system/${file}")" == 644 ]]
        grep -qF -e "${prefix}/" -e "${place}/log/" "${place}/system/${file}"
        run ! grep -E '[" ](/opt/ds01|/var/(lib|log)/ds01|/etc/ds01)' "${place}/system/${file}"
    done
    run -0 dash -i -c ". '${place}/system/profile.d/ds01.sh'"
    grep -qF "${place}/state" "${prefix}/lib/login-notice"
    for file in prometheus/alerts.yml grafana/ds01.json; do
        cmp "${ROOT}/config/${file}" "${prefix}/config/${file}"
    done

    picture "${place}" > "${BATS_TEST_TMPDIR}/before"
    run -0 --separate-stderr "${ROOT}/install.sh" "${into[@]}"
    [[ "${stderr}" == *'install.sh: info: nothing to do'* ]]
    picture "${place}" > "${BATS_TEST_TMPDIR}/after"
    diff "${BATS_TEST_TMPDIR}/before" "${BATS_TEST_TMPDIR}/after"
    # The second run finds the folders that the first one was told.
    run -0 --separate-stderr "${ROOT}/install.sh" --no-system --prefix "${prefix}" --dry-run
    [[ "${output}" == 'nothing to do' ]]

    printf '# mine\n' >> "${place}/etc/ds01.yaml"
    before="$(sha256sum "${place}/etc/ds01.yaml")"
    run -0 --separate-stderr "${ROOT}/install.sh" "${into[@]}"
    [[ "${stderr}" == *"kept your '${place}/etc/ds01.yaml'"* ]]
    [[ "$(sha256sum "${place}/etc/ds01.yaml")" == "${before}" ]]

    # The installed copy puts right what is gone; what the administrator changed stays, and goes out of the way at last.
    rm "${place}/system/logrotate.d/ds01" "${place}/bin/gpu-status"
    printf '# mine\n' >> "${place}/system/profile.d/ds01.sh"
    run -0 --separate-stderr "${prefix}/install.sh"
    [[ "${stderr}" == *"make '${place}/system/logrotate.d/ds01'"* && "${stderr}" == *"link '${place}/bin/gpu-status'"* ]]
    [[ "${stderr}" == *"kept your '${place}/system/profile.d/ds01.sh'"* && "${stderr}" != *'engine (without'* ]]

    touch "${place}/state/container-metadata/x.json"
    run -0 --separate-stderr "${prefix}/install.sh" --uninstall --dry-run
    [[ "${output}" == *"would remove '${prefix}'"* && -d "${prefix}" ]]
    "${prefix}/install.sh" --uninstall
    [[ ! -e "${prefix}" && ! -e "${place}/bin" && ! -e "${place}/share" && -f "${place}/etc/ds01.yaml" && -f "${place}/state/container-metadata/x.json" ]]
    [[ "$(cd "${place}/system" && find . -type f)" == ./profile.d/ds01.sh.disabled ]]
    run -3 "${ROOT}/install.sh" "${into[@]}" --uninstall
    "${ROOT}/install.sh" "${into[@]}" --uninstall --purge
    [[ "$(ls -A "${place}")" == opt && -z "$(ls -A "${place}/opt")" ]]
}

@test "install.sh: an upgrade takes old files away and keeps what is the administrator's" {
    make_copy
    printf '9.9.9\n' > "${copy}/VERSION"
    printf '# older\n' >> "${copy}/config/profile.d/ds01.sh"
    sed 's/container-open/container-gone/' "${ROOT}/bin/container-open" > "${copy}/bin/container-gone"
    printf '#!/bin/sh\n' > "${copy}/lib/gone.bash"
    chmod +x "${copy}/bin/container-gone"
    "${copy}/install.sh" "${into[@]}" -q
    [[ -L "${place}/bin/container-gone" && -e "${place}/share/man/man1/container-gone.1" ]]
    touch "${place}/share/man/man1/other.1"
    printf 'mine\n' > "${place}/share/bash-completion/completions/container-list.new"
    rm "${place}/share/bash-completion/completions/container-list"
    mv "${place}/share/bash-completion/completions/container-list"{.new,}
    touch "${prefix}/note-of-the-admin"
    printf 'garbage\n' >> "${prefix}/lib/core.bash"

    run -0 --separate-stderr "${ROOT}/install.sh" "${into[@]}"
    [[ "${stderr}" == *"replace DS01 9.9.9 by DS01 $(cat "${ROOT}/VERSION")"* ]]
    [[ ! -L "${place}/share/man/man1/container-gone.1" && -e "${place}/share/man/man1/container-run.1" ]]
    [[ "${stderr}" == *"kept '${place}/share/bash-completion/completions/container-list'"* ]]
    [[ ! -L "${place}/bin/container-gone" && ! -e "${prefix}/lib/gone.bash" && -e "${prefix}/note-of-the-admin" ]]
    [[ "${stderr}" == *"renew '${place}/system/profile.d/ds01.sh'"* ]]
    run ! grep older "${place}/system/profile.d/ds01.sh"
    cmp "${ROOT}/lib/core.bash" "${prefix}/lib/core.bash"
    "${prefix}/venv/bin/python3" -sE -c 'import h11, yaml'
    [[ ! -e "${prefix}.new" && ! -e "${prefix}.old" ]]

    # An upgrade that was killed between its two moves.
    mv "${prefix}" "${prefix}.old"
    "${ROOT}/install.sh" "${into[@]}" -q
    [[ -e "${prefix}/note-of-the-admin" && ! -e "${prefix}.old" ]]

    run -0 --separate-stderr "${prefix}/install.sh" --uninstall
    [[ "${stderr}" == *"'${prefix}' stays"* && "$(ls -A "${prefix}")" == note-of-the-admin ]]
    # What is not of the installation stays, and so do the folders that it is in.
    [[ "$(cat "${place}/share/bash-completion/completions/container-list")" == mine ]]
    [[ "$(find "${place}/share" ! -type d | wc -l)" == 2 && ! -e "${place}/share/zsh" ]]
}

@test "install.sh: a failure leaves the old program as it was" {
    make_copy
    "${ROOT}/install.sh" "${into[@]}" -q
    picture "${place}" > "${BATS_TEST_TMPDIR}/before"
    printf 'no-such-package-of-ds01==1.0\n' >> "${copy}/requirements.txt"
    run -7 --separate-stderr env PIP_NO_INDEX=1 "${copy}/install.sh" "${into[@]}"
    [[ "${stderr}" == *'cannot install the Python packages'* ]]
    picture "${place}" > "${BATS_TEST_TMPDIR}/after"
    # The folder that held the half-built copy has a new time, nothing else.
    diff <(grep -v "^${place}/opt 755" "${BATS_TEST_TMPDIR}/before") <(grep -v "^${place}/opt 755" "${BATS_TEST_TMPDIR}/after")
}

@test "install.sh: says all that is missing at once" {
    local tool
    mkdir "${BATS_TEST_TMPDIR}/tools"
    for tool in bash dirname readlink mktemp rm ls cat find stat sort grep sed env tail id; do
        ln -s "$(type -P "${tool}")" "${BATS_TEST_TMPDIR}/tools/${tool}"
    done
    run -7 --separate-stderr env "PATH=${BATS_TEST_TMPDIR}/tools" "${ROOT}/install.sh" "${into[@]}"
    [[ "${stderr}" == *"missing Debian packages: jq git docker"* ]]
    [[ "${stderr}" == *"hint: run 'sudo apt-get install jq git docker"* ]]
    rm "${BATS_TEST_TMPDIR}/tools/env"
    printf '#!/bin/sh\nexit 125\n' > "${BATS_TEST_TMPDIR}/tools/env"
    chmod +x "${BATS_TEST_TMPDIR}/tools/env"
    run -7 --separate-stderr env "PATH=${BATS_TEST_TMPDIR}/tools" "${ROOT}/install.sh" "${into[@]}"
    [[ "${stderr}" == *"install.sh: error: this system's 'env' does not know the option '--block-signal'"* ]]
    [[ -z "$(ls -A "${place}")" ]]
}

@test "install.sh: refuses to replace a command that is not its own" {
    mkdir "${place}/bin"
    printf 'mine\n' > "${place}/bin/container-run"
    ln -s /bin/true "${place}/bin/container-list"
    run -4 --separate-stderr "${ROOT}/install.sh" "${into[@]}"
    [[ "${stderr}" == *"'${place}/bin/container-run' is there"* && "${stderr}" == *"'${place}/bin/container-list' is there"* ]]
    [[ "$(ls -A "${place}")" == bin ]]
}

@test "install.sh: --user uses the XDG folders and the installed commands find them" {
    local program
    run -0 --separate-stderr env SHELL=/usr/bin/zsh "${ROOT}/install.sh" --user
    [[ "${stderr}" == *"hint: for completion in zsh, put 'fpath=('${HOME}/.local/share/zsh/site-functions' \$fpath)'"* ]]
    [[ -e "${HOME}/.local/share/zsh/site-functions/_ds01" && "${stderr}" == *'left out: crontab, log rotation and login notice'* ]]
    program="${HOME}/.local/share/ds01"
    [[ -L "${HOME}/.local/share/man/man1/container-run.1" ]]
    [[ -L "${HOME}/.local/share/bash-completion/completions/container-run" ]]
    [[ -L "${HOME}/.local/bin/container-run" && -f "${HOME}/.config/ds01/ds01.yaml" ]]
    [[ -d "${HOME}/.local/state/ds01/container-metadata" && -d "${HOME}/.local/state/ds01/log" ]]
    run -0 "${HOME}/.local/bin/ds01-config" check
    [[ "${output}" == *"${HOME}/.config/ds01/resource-limits.yaml"* ]]
    [[ "$(jq -r .state "${program}/paths.json")" == "${HOME}/.local/state/ds01" ]]
    run -0 --separate-stderr "${ROOT}/install.sh" --user
    [[ "${stderr}" == *'nothing to do'* ]]
    "${program}/install.sh" --uninstall --purge
    # pip and what it calls may keep files of their own.
    [[ -z "$(find "${HOME}" -name '*ds01*' -o -type l)" && ! -e "${HOME}/.local/bin" ]]
}

@test "install.sh: the demonstration fails where the container has other limits than the policy" {
    # shellcheck disable=SC2016 # the inner shell expands these
    local source='PROJECT_ROOT=$1 COMMAND_NAME=install.sh; set -euo pipefail
        source "$1/lib/core.bash"; source "$1/lib/install/layout.bash"; source "$1/lib/install/demo.bash"
        DEMO_USER=root; demo::_compare "$2" "$3"'
    local policy='{"limits": {"max_cpus": 0.5, "memory": 1073741824, "pids_limit": 99, "shm_size": null}}'
    run -0 bash -c "${source}" - "${ROOT}" 'limits 50000 100000 1073741824 99 max root 0' "${policy}"
    run -1 bash -c "${source}" - "${ROOT}" 'limits -1 100000 1073741824 99 max root 0' "${policy}"
    run -1 bash -c "${source}" - "${ROOT}" 'limits 50000 100000 9223372036854771712 99 max root 0' "${policy}"
    run -1 bash -c "${source}" - "${ROOT}" 'limits 50000 100000 1073741824 max max root 0' "${policy}"
    run -1 bash -c "${source}" - "${ROOT}" 'limits 50000 100000 1073741824 99 max root 1000' "${policy}"
}

@test "install.sh: a demonstration with --quiet has a quiet image-base" {
    mkdir -p "${BATS_TEST_TMPDIR}/prefix/bin"
    printf '#!/bin/sh\necho "image-base $*" >&2\nexit 7\n' > "${BATS_TEST_TMPDIR}/prefix/bin/image-base"
    chmod +x "${BATS_TEST_TMPDIR}/prefix/bin/image-base"
    # shellcheck disable=SC2016 # the inner shell expands these
    local source='PROJECT_ROOT=$1 COMMAND_NAME=install.sh; set -euo pipefail
        source "$1/lib/core.bash"; source "$1/lib/install/layout.bash"; source "$1/lib/install/demo.bash"
        docker::require_engine() { :; }; docker::has_image() { return 1; }; LAYOUT[prefix]="$2"; "${@:3}"; demo::run'
    run -7 --separate-stderr bash -c "${source}" - "${ROOT}" "${BATS_TEST_TMPDIR}/prefix" core::be_quiet
    [[ "${stderr}" == 'image-base --quiet' ]]
    run -7 --separate-stderr bash -c "${source}" - "${ROOT}" "${BATS_TEST_TMPDIR}/prefix" true
    [[ "${stderr}" == image-base* && "${stderr}" != *--quiet* ]]
}

# bats test_tags=engine
@test "install.sh: --demo makes a container of the invoking user's own and removes it" {
    chmod a+x "${BATS_RUN_TMPDIR}" "${BATS_TEST_TMPDIR%/*}" "${BATS_TEST_TMPDIR}"
    SUDO_USER="$(bench_user alice name)" run -0 --separate-stderr "${ROOT}/install.sh" "${into[@]}" --demo
    printf '%s\n' "${output}" "${stderr}"
    [[ "${output}" == *"$(bench_user alice name), $(bench_user alice uid)"* ]]
    [[ "$(stat -c '%G %a' "${place}/state")" == 'ds01t-docker 2775' ]]
    [[ -z "$(docker ps --all --quiet --filter label=aime.mlc)" ]]
    [[ -z "$(ls -d "${TMPDIR:-/tmp}"/ds01-demo.* 2> /dev/null)" ]]
    # Who may not use the engine has no demonstration; root shows it then.
    SUDO_USER="$(bench_user outsider name)" run -0 --separate-stderr "${prefix}/install.sh" --demo
    [[ "${stderr}" == *"may not use the Docker engine"* && "${output}" == *'root, 0'* ]]
}

# bats test_tags=engine
@test "install.sh: a fresh machine without systemd and engine, from nothing to nothing" {
    local work="${BATS_TEST_TMPDIR}/machine"
    mkdir "${work}"
    run -0 env -u DOCKER_HOST unshare --mount --propagation private -- \
        bash "${ROOT}/tests/engine/fresh-machine" "${ROOT}" "${work}" "$(bench_user alice name)"
    printf '%s\n' "${output}"
    [[ "${output}" == *'fresh-machine: done'* ]]
}
