#!/usr/bin/env bats
# container-save: what was installed in a container goes into an image.

load helper
load images_helper

setup() {
    setup_ds01
}

teardown() {
    teardown_images
}

@test "container-save: names the missing word where nobody can be asked" {
    run -2 --separate-stderr "${BIN}/container-save" < /dev/null
    [[ "${stderr_lines[0]}" == 'container-save: error: missing NAME' ]]
    run -2 --separate-stderr "${BIN}/container-save" a b c
    [[ "${stderr_lines[0]}" == *"unexpected word 'c'" ]]
    run -2 --separate-stderr "${BIN}/container-save" a 'B c'
    [[ "${stderr_lines[0]}" == *"'B c' is not a name for an image" ]]
}

# bats test_tags=engine
@test "container-save: nothing was installed, and no such container" {
    run -0 "${BIN}/container-create" empty Debian
    run -2 --separate-stderr "${BIN}/container-save" empty < /dev/null
    [[ "${stderr_lines[0]}" == *"missing IMAGE, because 'empty' was not made of an image of yours" ]]
    run -4 --separate-stderr "${BIN}/container-save" empty saved
    [[ "${stderr_lines[0]}" == *"no packages were installed in container 'empty'" ]]
    [[ "${stderr_lines[1]}" == *"'container-save empty saved --commit'"* ]]
    run -3 --separate-stderr "${BIN}/container-save" emptie saved
    [[ "${stderr_lines[1]}" == *"did you mean 'empty'?" ]]
}

# bats test_tags=engine
@test "container-save: what was installed goes into the source of the image, and into a rebuild" {
    local before
    demo_image
    run -0 "${BIN}/container-run" work --image demo -- sudo -E uv pip install --system --break-system-packages -q toolz 'iniconfig<2.1'
    run -0 --separate-stderr "${BIN}/container-save" work --dry-run
    [[ "${output}" == *'  + iniconfig 2.0'*'(was '*'  + toolz '* ]]
    [[ "${output}" != *pygments* ]]
    run -0 --separate-stderr "${BIN}/container-save" work < /dev/null
    [[ "${lines[0]}" == 'image      demo (ds01/root/demo:latest, '* ]]
    [[ "${stderr}" == *"made of an older build: work"* ]]
    grep -q 'toolz==' "${HOME}/ds01/images/demo/image.yaml"
    jq -e '(.pip.iniconfig | startswith("2.0")) and .pip.toolz' "${HOME}/ds01/images/demo/image.lock"
    # Once more, and there is nothing to add.
    before="$(image_id demo)"
    run -0 --separate-stderr "${BIN}/container-save" work < /dev/null
    [[ -z "${output}" && "${stderr}" == *"image 'demo' has all of it already"* && "$(image_id demo)" == "${before}" ]]
}

# bats test_tags=engine
@test "container-save: --commit copies the files, is labelled so, and never takes the place of an image with a source" {
    demo_image
    run -0 "${BIN}/container-run" work Debian -- sh -c 'echo mine | sudo tee /etc/mine'
    run -4 --separate-stderr "${BIN}/container-save" work demo --commit
    [[ "${stderr_lines[-2]}" == *"your image 'demo' has a source, which a copy would leave behind" ]]
    run -0 --separate-stderr "${BIN}/container-save" work snapshot --commit
    [[ "${output}" == *'source     none: it is a copy of a container'* ]]
    [[ "$(docker image inspect --format '{{index .Config.Labels "ds01.image.made-by"}}' ds01/root/snapshot)" == container-save ]]
    [[ "$(docker image inspect --format '{{index .Config.Labels "ds01.gpus"}}' ds01/root/snapshot)" == none ]]
    run -0 --separate-stderr "${BIN}/container-run" again --image snapshot -- cat /etc/mine
    [[ "${output}" == mine ]]
    run -3 --separate-stderr "${BIN}/image-update" snapshot --add toolz
    [[ "${stderr}" == *"image 'snapshot' is a copy of a container: it has no source"* ]]
    run -0 --separate-stderr "${BIN}/image-show" snapshot
    [[ "${output}" == *container-save*'none: it is a copy of a container'* ]]
    # Neither list counts the image's labels as a container's.
    run -0 --separate-stderr "${BIN}/container-list" --json
    jq -e '[.containers[].name] == ["again", "work"]' <<< "${output}"
}
