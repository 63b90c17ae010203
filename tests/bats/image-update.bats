#!/usr/bin/env bats
# image-update: what changes is shown, then built.

load helper
load images_helper

setup() {
    setup_ds01
}

teardown() {
    teardown_images
}

@test "image-update: names the missing word where nobody can be asked" {
    run -2 --separate-stderr "${BIN}/image-update" --add rich < /dev/null
    [[ "${stderr_lines[0]}" == 'image-update: error: missing NAME' ]]
}

@test "image-update: refuses words that contradict each other" {
    run -2 --separate-stderr "${BIN}/image-update" x --adopt --render-again
    [[ "${stderr_lines[0]}" == *"give '--adopt' or '--render-again', not both" ]]
    run -2 --separate-stderr "${BIN}/image-update" x --shared --private
    [[ "${stderr_lines[0]}" == *"give '--shared' or '--private', once" ]]
    run -2 --separate-stderr "${BIN}/image-update" x --add
    [[ "${stderr_lines[0]}" == *"option '--add' needs a value" ]]
    run -2 --separate-stderr "${BIN}/image-update" x --edit < /dev/null
    [[ "${stderr_lines[0]}" == *"'--edit' needs a terminal" ]]
    run -2 --separate-stderr "${BIN}/image-update" other/demo --rebuild
    [[ "${stderr_lines[0]}" == *"'other/demo' is not the name of an image of yours" ]]
    [[ "${stderr_lines[1]}" == *"'image-create demo --from ds01/other/demo'"* ]]
    run -2 --separate-stderr "${BIN}/image-update" 'X y' --rebuild
    [[ "${stderr_lines[0]}" == *"'X y' is not a name for an image" ]]
}

@test "image-update: says so when no engine answers" {
    export DOCKER_HOST="unix://${BATS_TEST_TMPDIR}/none.sock"
    run -7 --separate-stderr "${BIN}/image-update" demo --rebuild
    [[ "${stderr}" == *'image-update: error: '*'Docker engine'*'image-update: hint: '* ]]
}

# bats test_tags=engine
@test "image-update: shows the change, builds its own layer only, and names the containers of the older build" {
    demo_image
    run -0 "${BIN}/container-create" old --image demo
    run -0 --separate-stderr "${BIN}/image-update" demo --add 'toolz' --remove iniconfig < /dev/null
    [[ "${stderr}" == *'Dockerfile:'*'-#   iniconfig'*'+#   toolz'*'Versions:'*'  - iniconfig '*'  + toolz '* ]]
    [[ "${stderr}" == *"made of an older build: old"* ]]
    [[ "${stderr}" == *"hint: "*"'container-save old'"*"'container-create old --image demo'"* ]]
    [[ "${lines[0]}" == 'image      demo (ds01/root/demo:latest, '* ]]
    [[ "$(image_id demo)" != "$(docker image inspect --format '{{.Id}}' ds01t-kept/demo)" ]]
    # All layers up to the image's own came from the cache.
    grep -qi 'cache' "$(find "${HOME}/.local/state/ds01/logs" -name 'build-demo-*' -newer "${HOME}/workspace")"
    run -0 docker run --rm --network none ds01/root/demo python3 -c 'import toolz, six; print("imported")'
    [[ "${lines[-1]}" == imported ]]
    jq -e '.pip.toolz and (.pip.iniconfig | not)' "${HOME}/ds01/images/demo/image.lock"
    run -0 --separate-stderr "${BIN}/image-list"
    [[ "${output}" == *'demo '*'old*'* ]]
    # Once more, and nothing is to be done.
    run -0 --separate-stderr "${BIN}/image-update" demo
    [[ -z "${output}" && "${stderr}" == *"image 'demo' is as its source says"* ]]
    run -0 --separate-stderr "${BIN}/image-update" demo --json
    jq -e --arg id "$(image_id demo)" '.built == false and .id == $id' <<< "${output}"
    run -0 --separate-stderr "${BIN}/image-update" demo --dry-run
    [[ -z "${output}" && "${stderr}" == *'neither the Dockerfile nor a version would change'* ]]
}

# bats test_tags=engine
@test "image-update: --dry-run shows and does nothing; what is not there is named" {
    demo_image
    local before
    before="$(cat "${HOME}/ds01/images/demo/"*)"
    run -0 --separate-stderr "${BIN}/image-update" demo --add toolz --dry-run
    [[ "${output}" == *'+#   iniconfig, toolz'*'  + toolz '* ]]
    run -0 --separate-stderr "${BIN}/image-update" demo --add toolz --dry-run --json
    jq -e '.source_state == "clean" and any(.lock_changes[]; .name == "toolz" and .old == null)' <<< "${output}"
    run -3 --separate-stderr "${BIN}/image-update" demo --remove inicomfig
    [[ "${stderr}" == *"'inicomfig' is not among the packages of image 'demo'"*"iniconfig"* ]]
    run -3 --separate-stderr "${BIN}/image-update" dmo --add toolz
    [[ "${stderr_lines[-1]}" == "image-update: hint: did you mean 'demo'?" ]]
    run -3 --separate-stderr "${BIN}/image-update" demo --base nonsense
    [[ "$(cat "${HOME}/ds01/images/demo/"*)" == "${before}" ]]
    [[ "$(image_id demo)" == "$(docker image inspect --format '{{.Id}}' ds01t-kept/demo)" ]]
}

# bats test_tags=engine
@test "image-update: a build that fails leaves image and source as they were" {
    demo_image
    local lock
    lock="$(cat "${HOME}/ds01/images/demo/image.lock")"
    printf 'RUN echo here it ends && false\n' >> "${HOME}/ds01/images/demo/Dockerfile"
    run --separate-stderr "${BIN}/image-update" demo --add toolz
    [[ "${status}" -ne 0 && "${stderr}" == *'here it ends'*"image 'demo' was not built"* ]]
    [[ "$(cat "${HOME}/ds01/images/demo/image.lock")" == "${lock}" ]]
    run ! grep -q toolz "${HOME}/ds01/images/demo/image.yaml"
    [[ "$(image_id demo)" == "$(docker image inspect --format '{{.Id}}' ds01t-kept/demo)" ]]
}

# bats test_tags=engine
@test "image-update: an edit in the rendered part is shown and decided, in a script by a flag" {
    demo_image
    local file="${HOME}/ds01/images/demo/Dockerfile"
    sed -i 's/^FROM .*/&\nRUN echo mine > \/mine/' "${file}"
    run -6 --separate-stderr "${BIN}/image-update" demo --add toolz < /dev/null
    [[ "${stderr}" == *'was edited by hand'*"'image-update demo --adopt'"*'+RUN echo mine > /mine'* ]]
    grep -q '^RUN echo mine' "${file}"
    run -0 --separate-stderr "${BIN}/image-update" demo --render-again --dry-run
    [[ "${output}" == *'-RUN echo mine > /mine'* ]]
    run -0 --separate-stderr "${BIN}/image-update" demo --adopt --add toolz --quiet
    grep -q '^RUN echo mine' "${file}"
    run -0 docker run --rm --network none ds01/root/demo sh -c 'cat /mine && python3 -c "import toolz, iniconfig"'
    [[ "${lines[0]}" == mine ]]
}
