#!/usr/bin/env bats
# image-delete: what goes is said first, the source stays.

load helper
load images_helper

setup() {
    setup_ds01
}

teardown() {
    teardown_images
}

@test "image-delete: names the missing word where nobody can be asked" {
    run -2 --separate-stderr "${BIN}/image-delete" < /dev/null
    [[ "${stderr_lines[0]}" == 'image-delete: error: missing NAME' ]]
}

# bats test_tags=engine
@test "image-delete: refuses what is used, before any other goes; forced, the container works on" {
    demo_image
    docker tag ds01/root/demo ds01/root/other
    run -0 "${BIN}/container-create" c1 --image demo
    run -2 --separate-stderr "${BIN}/image-delete" demo --force < /dev/null
    [[ "${stderr_lines[0]}" == 'image-delete: error: nobody can be asked whether to delete' ]]
    run -4 --separate-stderr "${BIN}/image-delete" demo --yes
    [[ "${stderr_lines[0]}" == *"image 'demo' is used by c1" ]]
    [[ "${stderr_lines[1]}" == *"'container-remove c1'"*"'--force'"* ]]
    run -3 --separate-stderr "${BIN}/image-delete" demo nope --force --yes
    [[ -n "$(image_id demo)" ]]
    run -0 --separate-stderr "${BIN}/image-delete" demo --force --yes
    [[ "${stderr}" == *"image 'demo' is deleted"* && -z "$(image_id demo)" ]]
    [[ -s "${HOME}/ds01/images/demo/image.yaml" ]]
    run -0 --separate-stderr "${BIN}/container-run" c1 -- python3 -c 'import six; print("works")'
    [[ "${output}" == works ]]
}

# bats test_tags=engine
@test "image-delete: the source goes only when it is told" {
    demo_image
    run -0 --separate-stderr "${BIN}/image-delete" demo --with-source --yes --quiet
    [[ -z "${output}${stderr}" && -z "$(image_id demo)" && ! -e "${HOME}/ds01/images/demo" ]]
}
