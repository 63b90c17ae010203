#!/usr/bin/env bats
# ds01-config: check and show.
# shellcheck disable=SC2154 # set by helper.bash and by bats

load helper

setup() {
    setup_ds01
    POLICY="${DS01_ROOT}/etc/ds01/resource-limits.yaml"
}

@test "ds01-config: the shipped configuration is in order" {
    run -0 --separate-stderr "${BIN}/ds01-config" check
    [[ -z "${stderr}" ]]
    [[ "${lines[0]}" == "ok ${DS01_ROOT}/etc/ds01/ds01.yaml" ]]
    [[ "${lines[1]}" == "ok ${POLICY}" ]]
    [[ "${lines[2]}" == "ok ${DS01_ROOT}/etc/ds01/packages.yaml" ]]
    [[ "${lines[3]}" == "ok ${DS01_ROOT}/etc/ds01/site-images.repo" ]]
    [[ "${#lines[@]}" -eq 4 ]]
}

@test "ds01-config: check shows all problems of all files and leaves with 6" {
    printf 'version: 1\ndefaults:\n  memroy: 32g\n  idle_timeout: 48\n' > "${POLICY}"
    printf 'version: 1\nmlc_hom: /x\n' > "${DS01_ROOT}/etc/ds01/ds01.yaml"
    printf 'version: 1\ntiers: {a: {apt: ["vim; reboot"]}}\n' > "${DS01_ROOT}/etc/ds01/packages.yaml"
    printf '# images\nA, 1, CPU, a:1\nB, 1\n' > "${DS01_ROOT}/etc/ds01/site-images.repo"
    run -6 --separate-stderr "${BIN}/ds01-config" check
    [[ -z "${output}" ]]
    [[ "${#stderr_lines[@]}" -eq 6 ]]
    [[ "${stderr_lines[0]}" == "ds01-config: error: ${DS01_ROOT}/etc/ds01/ds01.yaml:2: mlc_hom: unknown key, did you mean 'mlc_home'" ]]
    [[ "${stderr_lines[1]}" == "ds01-config: error: ${POLICY}:3: defaults.memroy: unknown key, did you mean 'memory'" ]]
    [[ "${stderr_lines[2]}" == "ds01-config: error: ${POLICY}:4: defaults.idle_timeout: '48' has no unit, write 48h" ]]
    [[ "${stderr_lines[3]}" == *"packages.yaml:2: tiers.a.apt: 'vim; reboot' is not the name of a Debian package" ]]
    [[ "${stderr_lines[4]}" == *"site-images.repo:2: "* ]]
    [[ "${stderr_lines[5]}" == *"site-images.repo:3: "* ]]
}

@test "ds01-config: check names sound files beside a broken one" {
    printf 'version: 2\n' > "${POLICY}"
    run -6 --separate-stderr "${BIN}/ds01-config" check
    [[ "${#lines[@]}" -eq 3 ]]
    [[ "${stderr}" == "ds01-config: error: ${POLICY}:1: version: must be 1" ]]
}

@test "ds01-config: check tells what to do about a missing file" {
    rm -- "${POLICY}"
    run -6 --separate-stderr "${BIN}/ds01-config" check
    [[ "${stderr_lines[0]}" == *"'${POLICY}' does not exist" ]]
    [[ "${stderr_lines[1]}" == 'ds01-config: hint: run install.sh'* ]]
}

@test "ds01-config: a site without images of its own is in order" {
    rm -- "${DS01_ROOT}/etc/ds01/site-images.repo"
    run -0 "${BIN}/ds01-config" check
}

@test "ds01-config: check warns of caps without a cgroup parent" {
    sed -i 's/^    cpus: null/    cpus: 32/' "${POLICY}"
    run -0 --separate-stderr "${BIN}/ds01-config" check
    [[ "${stderr}" == "ds01-config: warning: ${POLICY}:"*": aggregate.cpus: has no effect"* ]]
    sed -i 's/^cgroup_parent: null/cgroup_parent: ds01/' "${DS01_ROOT}/etc/ds01/ds01.yaml"
    run -0 --separate-stderr "${BIN}/ds01-config" check
    [[ -z "${stderr}" ]]
}

@test "ds01-config: check warns of a file that everybody may change" {
    chmod 666 "${POLICY}"
    run -0 --separate-stderr "${BIN}/ds01-config" check
    [[ "${stderr}" == "ds01-config: warning: ${POLICY}: can be changed by everybody"* ]]
}

@test "ds01-config: check --json is one object" {
    printf 'version: 1\nx: 1\ny: 2\n' > "${POLICY}"
    run -6 --separate-stderr "${BIN}/ds01-config" check --json
    [[ -z "${stderr}" ]]
    jq -e '.ok == false and (.files | length) == 4 and (.files[1].problems | length) == 2' <<< "${output}"
}

@test "ds01-config: show lists every key with value and origin" {
    run -0 --separate-stderr "${BIN}/ds01-config" show root
    [[ -z "${stderr}" ]]
    [[ "${lines[0]}" == "user root (0), group admin (member), limits of ${POLICY}" ]]
    grep -qE '^max_gpus +unlimited +group admin \(line [0-9]+\)$' <<< "${output}"
    grep -qE '^memory +32g +defaults \(line [0-9]+\)$' <<< "${output}"
    grep -qE '^aggregate\.cpus +unlimited +defaults' <<< "${output}"
    grep -qE '^images\.min_free_disk +20g +images \(line [0-9]+\)$' <<< "${output}"
    grep -qE '^lifecycle\.archive +none +lifecycle \(line [0-9]+\)$' <<< "${output}"
    grep -qE '^mlc_home +- +built-in$' <<< "${output}"
    grep -qF "${DS01_ROOT}/var/lib/ds01" <<< "${output}"
}

@test "ds01-config: show without a user is about the caller" {
    run -0 "${BIN}/ds01-config" show
    [[ "${lines[0]}" == "user $(id -un) (${UID}),"* ]]
}

@test "ds01-config: show tells of override, expiry and exemption" {
    printf '%s\n' 'version: 1' 'default_group: g' 'groups: {g: {}}' \
        'user_overrides:' '  root: {max_gpus: 2, reason: deadline, expires: 2999-01-01}' '  "77": {max_gpus: 2, expires: 2001-01-01}' \
        'exemptions:' '  - {user: root, from: [idle_timeout], until: 2999-01-02}' '  - {user: root, from: [max_runtime], until: 2001-01-01}' \
        > "${POLICY}"
    run -0 "${BIN}/ds01-config" show root
    grep -qE '^max_gpus +2 +override root until 2999-01-01 \(line 5\)$' <<< "${output}"
    grep -qE '^idle_timeout +48h +built-in, exempt until 2999-01-02$' <<< "${output}"
    grep -qE '^max_runtime +168h +built-in$' <<< "${output}"
    grep -qF 'reason of the override: deadline' <<< "${output}"
    run -0 "${BIN}/ds01-config" show 77
    grep -qF 'note: override 77 expired 2001-01-01, ignored' <<< "${output}"
    grep -qE '^max_gpus +1 +built-in$' <<< "${output}"
}

@test "ds01-config: show names what the environment changes" {
    export MLC_ARCH=CUDA_ADA
    run -0 "${BIN}/ds01-config" show root
    grep -qE '^architecture +CUDA_ADA +environment MLC_ARCH$' <<< "${output}"
}

@test "ds01-config: show --json is one object" {
    run -0 --separate-stderr "${BIN}/ds01-config" show --json root
    jq -e '.user == "root" and (.rows | length) == 19 and (.server | length) > 20 and (.settings | length) > 5' <<< "${output}"
}

@test "ds01-config: show refuses a user that nobody is" {
    run -3 --separate-stderr "${BIN}/ds01-config" show 'no such user'
    [[ -z "${output}" ]]
    [[ "${stderr_lines[0]}" == "ds01-config: error: user 'no such user' does not exist on this host" ]]
    run -3 "${BIN}/ds01-config" show -- -x
}

@test "ds01-config: show with a broken policy leaves with 6" {
    printf 'version: 1\nx: 1\n' > "${POLICY}"
    run -6 --separate-stderr "${BIN}/ds01-config" show root
    [[ -z "${output}" ]]
    [[ "${stderr_lines[0]}" == "ds01-config: error: ${POLICY}:2: x: unknown key" ]]
    [[ "${stderr_lines[1]}" == "ds01-config: hint: run 'ds01-config check' to see all" ]]
}

@test "ds01-config: refuses wrong words" {
    run -2 --separate-stderr "${BIN}/ds01-config"
    [[ "${stderr_lines[0]}" == 'ds01-config: error: missing a verb: check or show' ]]
    run -2 --separate-stderr "${BIN}/ds01-config" tell
    [[ "${stderr_lines[0]}" == "ds01-config: error: unknown verb 'tell', it is check or show" ]]
    run -2 --separate-stderr "${BIN}/ds01-config" shw
    [[ "${stderr_lines[0]}" == *"unknown verb 'shw'" && "${stderr_lines[1]}" == *"hint: did you mean 'show'?" ]]
    run -2 --separate-stderr "${BIN}/ds01-config" check root
    [[ "${stderr_lines[0]}" == "ds01-config: error: unexpected word 'root'" ]]
    run -2 --separate-stderr "${BIN}/ds01-config" show a b
    [[ "${stderr_lines[0]}" == "ds01-config: error: unexpected word 'b'" ]]
}
