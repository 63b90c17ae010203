#!/usr/bin/env bats
# The dispatcher `ds01`.
# shellcheck disable=SC2154 # output, stderr are set by bats

load helper

@test "ds01: lists its commands with the summaries of their headers" {
    local file
    run -0 --separate-stderr "${BIN}/ds01"
    [[ -z "${stderr}" ]]
    for file in "${BIN}"/ds01-*; do
        [[ "${output}" == *"  ${file##*/ds01-} "*"$(sed -n 's/^# Summary: //p' "${file}")"* ]]
    done
}

@test "ds01: hands words on and tells of wrong ones" {
    run -0 "${BIN}/ds01" doctor --help
    [[ "${lines[0]}" == 'Summary: Check this server'* ]]
    run -2 --separate-stderr "${BIN}/ds01" doktor
    [[ "${stderr}" == *"ds01: hint: did you mean 'ds01 doctor'?"* ]]
}
