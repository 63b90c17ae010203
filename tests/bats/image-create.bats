#!/usr/bin/env bats
# image-create: words and wizard.

load helper
load images_helper
load gpu_helper

setup() {
    setup_ds01
}

teardown() {
    terminal_stop
    teardown_images
    teardown_gpus
}

@test "image-create: names the missing words where nobody can be asked" {
    run -2 --separate-stderr "${BIN}/image-create" < /dev/null
    [[ -z "${output}" ]]
    [[ "${stderr_lines[0]}" == "image-create: error: missing NAME and '--framework' (or '--from')" ]]
    run -2 --separate-stderr "${BIN}/image-create" demo < /dev/null
    [[ "${stderr_lines[0]}" == "image-create: error: missing '--framework' (or '--from')" ]]
    # Closed is not a terminal either.
    run -2 --separate-stderr "${BIN}/image-create" demo <&-
    [[ "${stderr_lines[0]}" == "image-create: error: missing '--framework' (or '--from')" ]]
}

@test "image-create: refuses words that contradict each other" {
    run -2 --separate-stderr "${BIN}/image-create" demo --framework Debian --from ds01/debian:bookworm
    [[ "${stderr_lines[0]}" == *"give '--framework' or '--from', not both" ]]
    run -2 --separate-stderr "${BIN}/image-create" demo --from ds01/debian:bookworm --version 1
    [[ "${stderr_lines[0]}" == *"'--version' needs '--framework'" ]]
    run -2 --separate-stderr "${BIN}/image-create" demo --from ds01/debian:bookworm --tier system --no-tiers
    [[ "${stderr_lines[0]}" == *"give '--tier' or '--no-tiers', not both" ]]
    run -2 --separate-stderr "${BIN}/image-create" demo more
    [[ "${stderr_lines[0]}" == *"unexpected word 'more'" ]]
    run -2 --separate-stderr "${BIN}/image-create" demo --packages
    [[ "${stderr_lines[0]}" == *"option '--packages' needs a value" ]]
    run -2 --separate-stderr "${BIN}/image-create" demo --packages=
    [[ "${stderr_lines[0]}" == *"option '--packages' needs a value" ]]
}

# Names that are refused by the shell are those that Python refuses, and the other way round.
@test "image-create: refuses names that could escape, with the rule" {
    local name
    for name in '../x' 'a b' '-x' 'Upper' 'a/b' 'a:b' 'a__b' 'a--b' 'ä' 'x.' '_x' '$(id)' "$(printf 'a%.0s' {1..64})"; do
        run -2 --separate-stderr "${BIN}/image-create" --from ds01/debian:bookworm -- "${name}"
        [[ "${stderr_lines[0]}" == "image-create: error: '${name}' is not a name for an image" ]]
        [[ "${stderr_lines[1]}" == *"hint: use lower-case letters and digits"* ]]
        run ! python3 -c 'import sys; sys.path.insert(0, sys.argv[1]); from ds01.images.source import names; names.check_name(sys.argv[2])' \
            "${ROOT}/python" "${name}"
    done
    for name in a a.b 0 "$(printf 'a%.0s' {1..63})" my-image_2.0; do
        run --separate-stderr env DOCKER_HOST="unix://${BATS_TEST_TMPDIR}/none.sock" "${BIN}/image-create" "${name}" --from x
        [[ "${status}" -ne 2 && "${stderr}" != *'not a name'* ]]
        run -0 python3 -c 'import sys; sys.path.insert(0, sys.argv[1]); from ds01.images.source import names; names.check_name(sys.argv[2])' \
            "${ROOT}/python" "${name}"
    done
}

@test "image-create: says so when no engine answers" {
    export DOCKER_HOST="unix://${BATS_TEST_TMPDIR}/none.sock"
    run -7 --separate-stderr "${BIN}/image-create" demo --framework Debian
    [[ "${stderr}" == *'image-create: error: '*'Docker engine'*'image-create: hint: '* ]]
    [[ "${stderr}" != *Traceback* ]]
}

# bats test_tags=engine
@test "image-create: builds an image in layers, with labels, log and source" {
    small_tiers
    run -0 --separate-stderr "${BIN}/image-create" demo --framework debian --type=colour -p iniconfig <&-
    [[ "${lines[0]}" == 'image      demo (ds01/root/demo:latest, '*'MB, built in '*' s)' ]]
    [[ "${output}" == *'layers     small, colour, own'*"source     ${HOME}/ds01/images/demo"* ]]
    [[ "${lines[-1]}" == 'next       container-run my-project --image demo' ]]
    # A script gets a line for what takes its time.
    [[ "${stderr}" == *"image-create: info: Python packages of 'own'"* && "${stderr}" != *$'\e'* ]]
    docker image inspect --format '{{json .Config.Labels}}' ds01/root/demo > "${BATS_TEST_TMPDIR}/labels"
    jq -e --arg uid "${UID}" '."ds01.image.uid" == $uid and ."ds01.image.name" == "demo"
        and ."ds01.image.base" == "ds01/debian:bookworm" and ."ds01.image.made-by" == "image-create"
        and (all(.[]; contains(",") | not))' "${BATS_TEST_TMPDIR}/labels"
    local source="${HOME}/ds01/images/demo"
    grep -q '^use_cases: \[colour\]' "${source}/image.yaml"
    grep -q '^FROM ds01/debian:bookworm' "${source}/Dockerfile"
    jq -e '.layers | .small[0] as $six | (.own[0] | startswith("iniconfig==")) and ($six | startswith("six=="))' \
        "${source}/image.lock"
    jq -e '.pip.iniconfig and .pip.six and .pip.colorama and .apt.git' "${source}/image.lock"
    run -0 docker run --rm --network none ds01/root/demo python3 -c 'import six, colorama, iniconfig; print("imported")'
    [[ "${lines[-1]}" == imported ]]
    [[ -n "$(find "${HOME}/.local/state/ds01/logs" -name 'build-demo-*.log' -size +0)" ]]
    jq -se 'any(.type == "image-built" and .image == "ds01/root/demo:latest")' "${DS01_ROOT}/var/log/ds01/events.jsonl"
    # The same again under another name, as JSON; a second one of one name is an update.
    run -0 --separate-stderr make_image demo2 --json
    jq -e '.name == "demo2" and .reference == "ds01/root/demo2:latest" and .size > 0 and (.id | startswith("sha256:"))' \
        <<< "${output}"
    run -4 --separate-stderr make_image demo
    [[ "${stderr_lines[0]}" == *"you have an image 'demo' already" ]]
    [[ "${stderr_lines[1]}" == *"hint: run 'image-update demo' to change it" ]]
}

# bats test_tags=engine
@test "image-create: --dry-run prints the Dockerfile and does nothing, --no-build writes the source only" {
    small_tiers
    run -0 --separate-stderr "${BIN}/image-create" plan --framework Debian --packages toolz --dry-run
    [[ "${output}" == *'FROM ds01/debian:bookworm'*'own.txt'* ]]
    [[ ! -e "${HOME}/ds01" && -z "$(image_id plan)" ]]
    run -0 --separate-stderr "${BIN}/image-create" plan --framework Debian --project my-plan --no-build
    [[ "${lines[-1]}" == 'next       image-update plan --rebuild' ]]
    [[ -s "${HOME}/workspace/my-plan/Dockerfile" && -z "$(image_id plan)" ]]
    [[ "$(readlink "${HOME}/ds01/images/plan")" == "${HOME}/workspace/my-plan" ]]
}

# bats test_tags=engine
@test "image-create: names the nearest framework, tier, field and package; nothing is made" {
    small_tiers
    run -3 --separate-stderr "${BIN}/image-create" typo --framework Debain
    [[ "${stderr}" == *"framework 'Debain' not found"*"did you mean 'Debian'?"* ]]
    run -3 --separate-stderr "${BIN}/image-create" typo --framework Debian --type color
    [[ "${stderr_lines[-2]}" == "image-create: error: use case 'color' not found" ]]
    [[ "${stderr_lines[-1]}" == "image-create: hint: did you mean 'colour'?" ]]
    run -3 --separate-stderr "${BIN}/image-create" typo --framework Debian --no-tiers --packages nosuchpackage-ds01
    [[ "${stderr}" == *"nosuchpackage-ds01"* ]]
    run -2 --separate-stderr "${BIN}/image-create" typo --framework Debian --packages '--index-url=x'
    [[ ! -e "${HOME}/ds01/images/typo/image.lock" && -z "$(image_id typo)" ]]
    # No word of a stack trace, whatever is wrong.
    [[ "${stderr}" == 'image-create: '* && "${stderr}" != *Traceback* ]]
}

# bats test_tags=engine
@test "image-create: a broken packages.yaml is named with file and line" {
    printf 'version: 1\ntiers:\n  small: {pip: ["rm -rf /"]}\n' > "${DS01_ROOT}/etc/ds01/packages.yaml"
    run -6 --separate-stderr "${BIN}/image-create" broken --framework Debian
    [[ "${stderr}" == *"packages.yaml:3:"* ]]
    [[ -z "$(image_id broken)" ]]
}

# bats test_tags=engine
@test "image-create: too little disk is told before anything is built" {
    small_tiers
    sed -i 's/min_free_disk: .*/min_free_disk: 900000g/' "${DS01_ROOT}/etc/ds01/resource-limits.yaml"
    run -7 --separate-stderr "${BIN}/image-create" full --framework Debian --no-tiers --packages toolz
    [[ "${stderr}" == *"must remain"*"image-create: hint: "* ]]
    [[ -z "$(image_id full)" ]]
}

# bats test_tags=engine
@test "image-create: a build that fails shows its last lines, its log and what failed" {
    small_tiers
    printf 'FROM ds01/debian:bookworm\nRUN echo about to fail && exit 3\n' > "${HOME}/Own"
    run --separate-stderr "${BIN}/image-create" fails --dockerfile "${HOME}/Own"
    [[ "${status}" -ne 0 && "${status}" -ne 130 ]]
    [[ "${stderr}" == *'about to fail'* ]]
    [[ "${stderr}" == *"image-create: error: image 'fails' was not built"* ]]
    local log
    log="$(find "${HOME}/.local/state/ds01/logs" -name 'build-fails-*.log')"
    [[ "${stderr_lines[-1]}" == *"'${log}'"* ]]
    grep -q 'about to fail' "${log}"
    [[ -z "$(image_id fails)" && -z "$(docker ps -aq)" ]]
    # What was typed is not lost: mended, it builds.
    sed -i 's/exit 3/true/' "${HOME}/ds01/images/fails/Dockerfile"
    run -0 --separate-stderr "${BIN}/image-update" fails
    [[ -n "$(image_id fails)" ]]
}

# bats test_tags=engine
@test "image-create: Ctrl-C in the build gives 130 and leaves nothing; two at once make one image" {
    small_tiers
    local pid a=0 b=0
    # While versions are worked out, in a container that looks into the base.
    interruptible "${BIN}/image-create" left --framework Debian --packages toolz
    wait_for 30 engine_runs 'sleep 900'
    interrupted
    # In the build.
    printf 'FROM ds01/debian:bookworm\nRUN sleep 60\n' > "${HOME}/Own"
    interruptible "${BIN}/image-create" left --dockerfile "${HOME}/Own"
    wait_for 30 build_is_at 'RUN sleep 60'
    interrupted
    grep -q 'nothing of it stays' "${BATS_TEST_TMPDIR}/out"
    [[ -z "$(image_id left)" ]]
    # Two at once.
    sed -i 's/60/3/' "${HOME}/Own"
    "${BIN}/image-create" two --dockerfile "${HOME}/Own" > "${BATS_TEST_TMPDIR}/1" 2>&1 &
    pid=$!
    "${BIN}/image-create" two --dockerfile "${HOME}/Own" > "${BATS_TEST_TMPDIR}/2" 2>&1 || b=$?
    wait "${pid}" || a=$?
    cat "${BATS_TEST_TMPDIR}/1" "${BATS_TEST_TMPDIR}/2"
    [[ "${a} ${b}" == '0 4' || "${a} ${b}" == '4 0' ]]
    grep -q "is being built already" "${BATS_TEST_TMPDIR}/1" "${BATS_TEST_TMPDIR}/2"
    [[ -n "$(image_id two)" ]]
}

# Press Ctrl-C, as it were: it ends with 130, says no word of Python's, and leaves no container.
interrupted() {
    local status=0
    kill -INT -- "-${started}"
    wait "${started}" || status=$?
    cat "${BATS_TEST_TMPDIR}/out"
    [[ "${status}" -eq 130 ]]
    run ! grep -q Traceback "${BATS_TEST_TMPDIR}/out"
    wait_for 20 no_containers
}

# Has the builder come to this line? Only one of the two shows its containers.
build_is_at() { # <line>
    grep -qrF "$1" "${HOME}/.local/state/ds01/logs"
}

# Does a container of the engine run this?
engine_runs() { # <command>
    docker ps --format '{{.Command}}' --no-trunc | grep -q "$1"
}

no_containers() {
    [[ -z "$(docker ps -aq)" ]]
}

# bats test_tags=engine
@test "image-create: a pre hook of the site can refuse it" {
    local hooks="${DS01_ROOT}/etc/ds01/hooks.d/image-create"
    mkdir -p "${hooks}"
    printf '#!/bin/sh\ncat > "%s/pre.json"\nexit 3\n' "${BATS_TEST_TMPDIR}" > "${hooks}/pre-10-refuse"
    chmod +x "${hooks}/pre-10-refuse"
    run -4 --separate-stderr "${BIN}/image-create" hooked --framework Debian --no-tiers
    jq -e '.command == "image-create" and .name == "hooked"' "${BATS_TEST_TMPDIR}/pre.json"
    [[ -z "$(image_id hooked)" ]]
}

# bats test_tags=engine
@test "image-create: an ordinary member of the engine's group has images of their own, and shares them" {
    small_tiers
    open_ds01
    run -0 --separate-stderr as_user alice "${BIN}/image-create" hers --framework Debian --no-tiers --packages toolz --quiet
    run -0 as_user bob "${BIN}/image-list"
    [[ "${output}" != *hers* ]]
    run -3 --separate-stderr as_user bob "${BIN}/image-show" ds01t-alice/hers
    run -0 --separate-stderr as_user alice "${BIN}/image-update" hers --shared --yes --quiet
    run -0 as_user bob "${BIN}/image-list"
    [[ "${output}" == *ds01t-alice/hers*yes* ]]
    run -0 --separate-stderr as_user bob "${BIN}/container-run" mine --image ds01t-alice/hers -- python3 -c 'import toolz; print(1)'
    [[ "${output}" == 1 ]]
    run -4 --separate-stderr as_user bob "${BIN}/image-delete" ds01t-alice/hers --yes
    docker image inspect ds01/ds01t-alice/hers > /dev/null
    # Who has an odd name stands in the image's by the number.
    run -0 --separate-stderr as_user ldap "${BIN}/image-create" odd --framework Debian --no-tiers --no-build --json
    [[ "$(jq -r .reference <<< "${output}")" == "ds01/$(bench_user ldap uid)/odd:latest" ]]
    run -0 --separate-stderr as_user bob "${BIN}/container-remove" mine --yes
    run -0 --separate-stderr as_user alice "${BIN}/image-delete" hers --with-source --yes
}

# bats test_tags=engine
@test "image-create: to a running container with its packages, under the limits and with the GPU that was granted" {
    setup_gpus a100-40:3g.20gb,1g.5gb
    run -0 make_image demo
    run -0 --separate-stderr "${BIN}/container-run" demo --gpus 1 -- \
        python3 -c 'import six, colorama, iniconfig; print(six.__name__, iniconfig.__name__)'
    [[ "${output}" == 'six iniconfig' ]]
    [[ "${stderr}" == *"taking your image 'demo', which is called like the container"* ]]
    run -0 "${BIN}/container-start" demo
    [[ "$(gpus_inside "demo._.${UID}")" == "$(gpu_uuid 0 1)" ]]
    [[ "$(inspect "demo._.${UID}" '{{.HostConfig.Privileged}}')" == false ]]
    [[ "$(inspect "demo._.${UID}" '{{.HostConfig.Memory}}')" -gt 0 ]]
    [[ "$(inspect "demo._.${UID}" '{{.HostConfig.PidsLimit}}')" -gt 0 ]]
    [[ "$(inspect "demo._.${UID}" '{{index .Config.Labels "ds01.image.name"}}')" == demo ]]
    # Another container by the image's name, and one by the bare form, where own images come first; each in its turn, since
    # there is one device that they get by default.
    run -0 "${BIN}/container-remove" demo --force --yes --quiet
    run -0 --separate-stderr "${BIN}/container-create" second --image demo --json
    [[ "$(jq -r .framework <<< "${output}")" == Custom-demo ]]
    run -0 "${BIN}/container-remove" second --yes --quiet
    terminal_start "${BIN}/container-create" third
    wait_for 20 terminal_shows "Which framework or image should 'third' have?"
    terminal_screen | grep -A1 -F 'demo' | grep -qF 'Debian bookworm'
    terminal_keys Enter
    [[ "$(terminal_status)" == 0 ]]
    [[ "$(inspect "third._.${UID}" '{{index .Config.Labels "ds01.image.name"}}')" == demo ]]
}

# bats test_tags=engine
@test "image-create: its images are taken by another mlc too, and a mistyped one is named" {
    demo_image
    run -3 --separate-stderr "${BIN}/container-create" typo --image demmo
    [[ "${stderr_lines[-1]}" == "container-create: hint: did you mean your image 'demo'?" ]]
    run -0 --separate-stderr env DS01_MLC_HOME="${ROOT}/tests/fixtures/other-mlc" "${BIN}/container-run" foreign --image demo -- \
        python3 -c 'import six; print(six.__name__)'
    [[ "${output}" == six ]]
    [[ "$(inspect "foreign._.${UID}" '{{index .Config.Labels "ds01.image.name"}}')" == demo ]]
}
