#!/usr/bin/env bats
# image-show: what an image is made of.

load helper
load images_helper

setup() {
    setup_ds01
}

teardown() {
    teardown_images
}

@test "image-show: names the missing word where nobody can be asked" {
    run -2 --separate-stderr "${BIN}/image-show" < /dev/null
    [[ "${stderr_lines[0]}" == 'image-show: error: missing NAME' ]]
}

@test "image-show: refuses two names and two parts" {
    run -2 --separate-stderr "${BIN}/image-show" a b
    [[ "${stderr_lines[0]}" == "image-show: error: unexpected word 'b'" ]]
    run -2 --separate-stderr "${BIN}/image-show" a --lock --json
    [[ "${stderr_lines[0]}" == *"give one of '--lock' and '--json', not both" ]]
}

# bats test_tags=engine
@test "image-show: spec, Dockerfile, versions, history, together and each by itself" {
    demo_image
    run -0 --separate-stderr "${BIN}/image-show" demo
    [[ "${lines[0]}" == 'image '*'demo'* ]]
    [[ "${output}" == *'pip: [iniconfig]'*'six=='*'MADE BY'* ]]
    run -0 --separate-stderr "${BIN}/image-show" demo --dockerfile
    [[ "${output}" == "$(cat "${HOME}/ds01/images/demo/Dockerfile")" ]]
    run -0 --separate-stderr "${BIN}/image-show" demo --spec
    [[ "${output}" == "$(cat "${HOME}/ds01/images/demo/image.yaml")" ]]
    run -0 --separate-stderr "${BIN}/image-show" --lock demo
    [[ "${output}" == *iniconfig* ]]
    run -0 --separate-stderr "${BIN}/image-show" demo --json
    jq -e '.name == "demo" and .mine' <<< "${output}"
    run -3 --separate-stderr "${BIN}/image-show" demmo
    [[ "${stderr}" == *"image 'demmo' not found"*"did you mean 'demo'?"* ]]
}
