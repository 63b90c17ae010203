#!/usr/bin/env bats
# ds01-doctor: what it says and how it ends. The checks themselves are tested in tests/python/test_doctor.py.
# shellcheck disable=SC2154 # output, stderr are set by bats

load helper

setup() {
    setup_ds01
    export DOCKER_HOST="unix://${BATS_TEST_TMPDIR}/none.sock"
}

@test "ds01-doctor: tells what is wrong, what mends it, and ends by the worst" {
    run -7 --separate-stderr "${BIN}/ds01-doctor"
    [[ -z "${stderr}" && "${lines[0]}" == 'error    engine '*"no Docker engine answers at '${DOCKER_HOST}'" ]]
    [[ "${lines[1]}" == *'-> sudo systemctl start docker' ]]
    [[ "${lines[-1]}" =~ ^[0-9]+\ errors?,\  ]]
    grep -q '^ok       policy ' <<< "${output}"
    printf 'nonsense: 1\n' >> "${DS01_ROOT}/etc/ds01/resource-limits.yaml"
    run -7 "${BIN}/ds01-doctor"
    grep -q '^error    policy .*nonsense' <<< "${output}"
}

@test "ds01-doctor: --json is one object with every check" {
    run -7 --separate-stderr "${BIN}/ds01-doctor" --json
    [[ "$(jq -r '.exit' <<< "${output}")" == 7 && "$(jq '.checks | length' <<< "${output}")" -ge 20 ]]
    [[ "$(jq -r '[.checks[].level] | unique - ["ok", "warning", "error", "unknown"] | length' <<< "${output}")" == 0 ]]
    [[ "$(jq -r '.checks[] | select(.level == "error" and .fix == null) | .check' <<< "${output}")" == '' ]]
}

@test "ds01-doctor: works where everything is broken, and changes nothing" {
    rm -rf "${DS01_ROOT}"
    mkdir -p "${DS01_ROOT}/etc"
    run -7 --separate-stderr "${BIN}/ds01-doctor"
    [[ -z "${stderr}" && "$(find "${DS01_ROOT}" -mindepth 2)" == '' ]]
}

@test "ds01-doctor: refuses wrong words" {
    run -2 --separate-stderr "${BIN}/ds01-doctor" --mend
    [[ "${stderr}" == *"ds01-doctor: error: unknown option '--mend'"* ]]
    run -2 "${BIN}/ds01-doctor" engine
}

# bats test_tags=engine
@test "ds01-doctor: an ordinary user gets answers too" {
    unset DOCKER_HOST
    export DOCKER_HOST="unix://${BENCH_DIR}/engine/docker.sock"
    open_ds01
    run as_user alice "${BIN}/ds01-doctor"
    printf '%s\n' "${output}"
    ((status == 7))
    grep -q '^ok       engine ' <<< "${output}"
    grep -q '^ok       rights ' <<< "${output}"
    run as_user outsider "${BIN}/ds01-doctor"
    grep -q '^error    engine .*no permission' <<< "${output}"
    grep -qF -- '-> sudo usermod -aG ds01t-docker' <<< "${output}"
}
