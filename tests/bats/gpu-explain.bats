#!/usr/bin/env bats
# gpu-explain: why a grant, a wait, a refusal.

load helper
load gpu_helper

setup() {
    setup_ds01
}

teardown() {
    teardown_engine
    teardown_gpus
}

@test "gpu-explain: names what is missing, and refuses both at once" {
    run -2 --separate-stderr "${BIN}/gpu-explain" < /dev/null
    [[ "${stderr_lines[0]}" == "gpu-explain: error: missing CONTAINER (or '--request')" ]]
    run -2 --separate-stderr "${BIN}/gpu-explain" x --request 1
    [[ "${stderr_lines[0]}" == *'not both' ]]
    run -2 --separate-stderr "${BIN}/gpu-explain" --request 3g.20g
    [[ "${stderr_lines[1]}" == *"use '--request 3g.20gb'" ]]
    run -2 --separate-stderr "${BIN}/gpu-explain" --request 7g
    [[ "${stderr_lines[1]}" == *"use '--request mem=7g'" ]]
    run -2 --separate-stderr "${BIN}/gpu-explain" --request fulll
    [[ "${stderr_lines[1]}" == *"use '--request full'" ]]
}

# bats test_tags=engine
@test "gpu-explain: what a request would get, and which rule refuses it with both numbers" {
    setup_gpus a100-40 a100-40:3g.20gb,1g.5gb
    open_ds01
    run -0 --separate-stderr as_user alice "${BIN}/gpu-explain" --request 1g.5gb
    [[ "${output}" == *"would get $(gpu_uuid 1 1)"* ]]
    run -0 --separate-stderr as_user alice "${BIN}/gpu-explain" --request full
    [[ "${output}" == *'refused '*'rule '*allow_full_gpu* ]]
    run -0 --separate-stderr as_user alice "${BIN}/gpu-explain" --request full --json
    jq -e '.granted == false and .rule == "allow_full_gpu" and (.code | length > 0) and (.hint | length > 0)' <<< "${output}"
}

# bats test_tags=engine
@test "gpu-explain: the story of a container's GPUs" {
    setup_gpus a100-40
    run -0 "${BIN}/container-create" e1 Debian --gpus 1
    run -0 --separate-stderr "${BIN}/gpu-explain" e1
    [[ "${lines[0]}" == 'container e1' ]]
    [[ "${output}" == *"has       allocated since "*"device    $(gpu_uuid 0): allocated"* ]]
    [[ "${output}" == *'log '*' grant '* && "${output}" == *'log '*' commit '* ]]
    run -3 --separate-stderr "${BIN}/gpu-explain" nobody
    [[ "${stderr_lines[0]}" == *"nothing is known of GPUs for 'nobody'" ]]
    run -3 --separate-stderr "${BIN}/gpu-explain" e11
    [[ "${stderr_lines[1]}" == "gpu-explain: hint: did you mean 'e1'?" ]]
}
