#!/usr/bin/env bats
# The dispatchers `container` and `image`.

load helper

@test "container: lists its commands with the summaries of their headers" {
    run -0 --separate-stderr "${BIN}/container"
    [[ -z "${stderr}" ]]
    local file name
    for file in "${BIN}"/container-*; do
        name="${file##*/container-}"
        [[ "${output}" == *"  ${name}"*"$(sed -n 's/^# Summary: //p' "${file}")"* ]]
    done
    run -0 "${BIN}/container" --help
    [[ "${lines[0]}" == 'Usage: container COMMAND'* ]]
}

@test "image: lists its commands" {
    run -0 "${BIN}/image" --help
    [[ "${output}" == *'  base '* ]]
}

@test "container: hands words on unchanged" {
    run -0 "${BIN}/container" run --help
    [[ "${lines[0]}" == 'Summary: '*"$(sed -n 's/^# Summary: //p' "${BIN}/container-run")" ]]
    run -2 --separate-stderr "${BIN}/container" list 'a word' ''
    [[ "${stderr_lines[0]}" == "container-list: error: unexpected word 'a word'" ]]
}

@test "container: works through symbolic links in a folder with spaces" {
    mkdir -p "${BATS_TEST_TMPDIR}/a b/ç"
    ln -s "${BIN}/container" "${BATS_TEST_TMPDIR}/a b/ç/container"
    ln -s "${BATS_TEST_TMPDIR}/a b/ç/container" "${BATS_TEST_TMPDIR}/a b/container"
    cd "${BATS_TEST_TMPDIR}/a b"
    run -0 ./container stop --help
    [[ "${lines[0]}" == 'Summary: Stop running containers' ]]
    cp -r "${ROOT}/bin" "${ROOT}/lib" "${BATS_TEST_TMPDIR}/a b/"
    run -0 "${BATS_TEST_TMPDIR}/a b/bin/container" stop --help
    [[ "${lines[0]}" == 'Summary: Stop running containers' ]]
}

@test "container: refuses an unknown command and a path" {
    run -2 --separate-stderr "${BIN}/container" rnu x
    [[ "${stderr_lines[0]}" == "container: error: unknown command 'rnu'" ]]
    [[ "${stderr_lines[1]}" == "container: hint: run 'container --help'"* ]]
    run -2 --separate-stderr "${BIN}/container" ../../bin/container
    [[ "${stderr_lines[0]}" == *'unknown command'* ]]
    run -2 --separate-stderr "${BIN}/container" --bogus
    [[ "${stderr_lines[0]}" == "container: error: unknown option '--bogus'" ]]
}
