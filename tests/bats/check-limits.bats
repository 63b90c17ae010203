#!/usr/bin/env bats
# check-limits: use against each limit, as bars.

load helper
load gpu_helper

setup() {
    setup_ds01
}

teardown() {
    teardown_engine
    teardown_gpus
}

@test "check-limits: refuses too many words and an unknown user" {
    run -2 --separate-stderr "${BIN}/check-limits" a b
    [[ "${stderr_lines[0]}" == "check-limits: error: unexpected word 'b'" ]]
    DOCKER_HOST="unix://${BATS_TEST_TMPDIR}/none" run -3 --separate-stderr "${BIN}/check-limits" no-such-user
    [[ "${stderr_lines[0]}" == *"no-such-user"* ]]
}

# bats test_tags=engine
@test "check-limits: shows what a user's containers use, for others too" {
    setup_gpus a100-40:1g.5gb,1g.5gb
    open_ds01
    run -0 as_user alice "${BIN}/container-create" u1 Debian --gpus 1
    run -0 as_user alice "${BIN}/container-start" u1
    run -0 --separate-stderr as_user bob "${BIN}/check-limits" ds01t-alice
    [[ "${output}" == *'max_containers_per_user  [######..............] 1 of 3'* ]]
    [[ "${output}" == *'max_gpus '*'0.14 of 1'* ]]
    [[ "${output}" == *'max_mig_instances '*'1 of 2'* ]]
    [[ "${output}" == *'memory '*' u1'* ]]
    run -0 --separate-stderr as_user alice "${BIN}/check-limits" --json
    jq -e '.uses[] | select(.key == "pids_limit") | .used >= 2 and .limit == 4096' <<< "${output}"
    run -0 as_user alice "${ROOT}/venv/bin/python3" -sE "${ROOT}/python/get_resource_limits.py" --usage
    jq -e '.usage | length >= 5' <<< "${output}"
    run -0 as_user alice "${BIN}/container-remove" u1 --yes --force
}
