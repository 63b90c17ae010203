# shellcheck shell=bash
# How an image of the user's comes to be and is changed: the plan, what it changes, the build with its progress. Used by
# image-create, image-update and container-save. What is in an image is decided by python/image_plan.py.
# shellcheck disable=SC2034 # IMAGE_BUILT is for the commands
: "${PROJECT_ROOT:?set by lib/run-command}" "${CORE_QUIET?set by lib}" "${CORE_TEMP?set by lib}" "${EXIT_BUG:?}" \
    "${CORE_LINE?set by lib}" "${EXIT_LEFT:?}" "${EXIT_NOT_FOUND:?}" "${MENU_BACK?set by lib}"

# What image_plan and image_build said, as JSON, and the folder between them.
IMAGE_PLAN=''
IMAGE_BUILT=''
IMAGE_STAGE=''
# Why something could not be, as image::lead_back told it.
IMAGE_WHY=''

# How a menu says an image's size and age.
readonly IMAGE_JQ='def size: "\(.size / 1000000 | floor)MB";
    def age: (try (now - (.created | sub("\\.[0-9]+"; "") | fromdateiso8601)) catch null)
        | if . == null then "?" elif . < 3600 then "\(. / 60 | floor)m"
        elif . < 86400 then "\(. / 3600 | floor)h" else "\(. / 86400 | floor)d" end;
    def ground: if .base == "-" then "a copy of a container" else .base end;
    def use: (.containers | length)
        | if . == 1 then "1 container" else "\(if . == 0 then "no" else . end) containers" end; '
IMAGE_ANSWER=''
# Of which architecture the frameworks of a menu are.
IMAGE_ARCHITECTURE=''

# Run a helper with the gateway between it and the engine. Ctrl-C is the helper's: what it still has to do, it does, and
# this shell goes on when it has ended. Sets: IMAGE_ANSWER. Returns: the helper's status, its reason being told.
image::governed() { # <job> [<word>...]
    local status=0
    core::make_temp
    trap : INT
    trap 'exit 143' TERM
    trap 'exit 129' HUP
    core::governed_helper "${CORE_TEMP}/refusal" "$@" > "${CORE_TEMP}/answer" || status=$?
    trap - INT TERM HUP
    IMAGE_ANSWER="$(< "${CORE_TEMP}/answer")"
    return "${status}"
}

# Have a change or a new image worked out, without building anything; it takes its time, so that a gauge shows it where
# a dialogue led here. Sets: IMAGE_PLAN, IMAGE_STAGE. Returns: the helper's status, its reason being told, or to be told
# by image::lead_back where there is a question to come back to.
image::plan() { # <create|update> <word>...
    local verb="$1" status=0 words
    shift
    core::make_temp
    IMAGE_STAGE="${CORE_TEMP}/stage"
    rm -rf -- "${IMAGE_STAGE}"
    mkdir -m 700 -- "${IMAGE_STAGE}"
    words=("${verb}" --stage "${IMAGE_STAGE}")
    if menu::has_gauge; then
        menu::work "Image '$1'" image::_plan_lines image::_plan "${words[@]}" --steps "$@" || status=$?
    elif core::info "working out the packages' versions" && [[ "${MENU_BACK}" == Back ]]; then
        image::governed image_plan "${words[@]}" "$@" 2> "${CORE_TEMP}/said" || status=$?
    else
        image::governed image_plan "${words[@]}" "$@" || status=$?
    fi
    IMAGE_PLAN="${IMAGE_ANSWER}"
    return "${status}"
}

# Work out, with the steps among what is said on stderr.
image::_plan() { # <word>...
    image::governed image_plan "$@" 3>&2
}

# Turn the steps of a plan into what menu::work shows.
image::_plan_lines() {
    image::_step_lines 'the versions of the packages are worked out'
}

# Turn steps into what menu::work shows.
image::_step_lines() { # <what begins> [<anything, to say which step of how many it is>]
    local line at count
    printf '0 %s\n' "$1"
    while IFS= read -r line; do
        [[ "${line}" =~ ^step\ ([0-9]+)/([1-9][0-9]*)\ (.*) ]] || continue
        at="${BASH_REMATCH[1]}" count="${BASH_REMATCH[2]}" line="${BASH_REMATCH[3]}"
        printf '%s %s%s\n' "$(((at - 1) * 100 / count))" "${2:+step ${at} of ${count}: }" "${line}"
    done
}

# Tell in a message why something cannot be, as it stands in CORE_TEMP/said, for a step of menu::walk that leads back to
# the question before. Leaves with the status where there was none, or nothing that an answer could mend.
# Sets: IMAGE_WHY. Returns: 1, or 255 when the person left.
image::lead_back() { # <title> <status>
    (($2 != EXIT_LEFT)) || return 255
    [[ "${MENU_BACK}" == Back ]] || exit "$2"
    # Of the words of a message only those that say why, a line each.
    IMAGE_WHY="$(sed -nE 's/^[a-z-]+: (error|hint|warning): (.)/\u\2/p' "${CORE_TEMP}/said")"
    [[ -n "${IMAGE_WHY}" ]] || IMAGE_WHY="$(< "${CORE_TEMP}/said")"
    menu::message "$1" "${IMAGE_WHY}" || return
    (($2 != EXIT_BUG)) || exit "$2"
    return 1
}

# Do what may be refused, in a step of menu::walk. Leaves with the status where there is no question to come back to.
# Returns: 0, 1 or 255.
image::or_back() { # <title> <word>...
    local status=0
    core::make_temp
    if [[ "${MENU_BACK}" != Back ]]; then
        "${@:2}" || exit
        return 0
    fi
    ("${@:2}") 2> "${CORE_TEMP}/said" || status=$?
    ((status == 0)) || image::lead_back "$1" "${status}"
}

# Build what was planned, showing how far it is; the output of the build goes to a log. Leaves with the reason if it
# fails; then all is as it was. Sets: IMAGE_BUILT.
image::build() { # [<word of image_build>...]
    local status=0 reader progress
    if menu::has_gauge; then
        menu::work "Image '$(jq -r .name <<< "${IMAGE_PLAN}")'" image::_gauge_lines image::_build "$@" || status=$?
    else
        core::on_exit image::_end_line
        exec {progress}> >(image::_progress)
        reader=$!
        image::governed image_build --stage "${IMAGE_STAGE}" "$@" 3>&"${progress}" || status=$?
        exec {progress}>&-
        wait "${reader}" 2> /dev/null || true
    fi
    IMAGE_BUILT="${IMAGE_ANSWER}"
    ((status != EXIT_LEFT)) || core::info "the build was ended; nothing of it stays"
    ((status == 0)) || exit "${status}"
}

# Build, with the steps among what is said on stderr.
image::_build() { # <word>...
    image::governed image_build --stage "${IMAGE_STAGE}" "$@" 3>&2
}

# Turn the steps of a build into what menu::work shows.
image::_gauge_lines() {
    image::_step_lines 'the build begins' numbered
}

# Show the steps of a build as they come: one line that changes on a terminal, a line each otherwise.
image::_progress() {
    local line step='' began="${SECONDS}" status columns text
    # Ctrl-C ends the build, and then this.
    trap '' INT
    while true; do
        status=0
        core::read_within 1 || status=$?
        ((status == 0 || status > 128)) || break
        if ((status == 0)); then
            [[ "${CORE_LINE}" == 'step '*/*' '* ]] || continue
            line="${CORE_LINE#step }"
            step="step ${line/\// of }"
            began="${SECONDS}"
            # In a log only what takes its time: the builder's own small steps are in capitals.
            line="${line#* }"
            [[ -t 2 || "${line}" =~ ^[A-Z][A-Z] ]] || core::info "${line}"
        fi
        [[ -t 2 && -n "${step}" && -z "${CORE_QUIET}" ]] || continue
        columns="$(tput cols 2> /dev/null)" || columns=80
        text="${step} ($((SECONDS - began)) s)"
        printf '\r\e[K%s' "${text:0:columns-1}" >&2
    done
    image::_end_line
}

# Leave the line of the progress clean.
image::_end_line() {
    [[ ! -t 2 || -n "${CORE_QUIET}" ]] || printf '\r\e[K' >&2
}

# Say what a plan changes: the Dockerfile and the versions. Prints: nothing if it changes nothing.
image::print_changes() {
    jq -r '
        def short: gsub("(?<id>sha256:[0-9a-f]{12})[0-9a-f]+"; .id);
        def line: (if .kind == "base" then "base" else .name end) as $what
            | if .old == null then "  + \($what) \(.new | short)" elif .new == null then "  - \($what) \(.old | short)"
            else "  ~ \($what) \(.old | short) -> \(.new | short)" end;
        # The checksum in the marker line changes with every change.
        def plain: gsub("; sha256 [0-9a-f]{64} >>>"; " >>>")
            | split("\n") | map(select(test("^[-+]# >>> DS01 renders") | not)) | join("\n") | split("\n@@ ")
            | [.[0]] + (.[1:] | map(select(test("\n[-+]")))) | join("\n@@ ");
        (if .dockerfile_diff == "" then empty else "Dockerfile:", (.dockerfile_diff | plain) end),
        (if (.lock_changes | length) == 0 then empty else "Versions:", (.lock_changes[] | line) end)' <<< "${IMAGE_PLAN}"
}

# Does the plan change anything?
image::has_changes() {
    jq -e '.dockerfile_diff != "" or (.lock_changes | length) > 0' <<< "${IMAGE_PLAN}" > /dev/null
}

# Was the image built from this very source, with these versions? Sets: IMAGE_BUILT, if so.
image::is_up_to_date() {
    ! image::has_changes && jq -e '.previous.is_same == true' <<< "${IMAGE_PLAN}" > /dev/null || return 1
    IMAGE_BUILT="$(jq -c '{reference, id: .previous.id, built: false, outdated: []}' <<< "${IMAGE_PLAN}")"
}

# Print what was built as JSON.
image::print_json() {
    jq -cn --argjson plan "${IMAGE_PLAN}" --argjson built "${IMAGE_BUILT}" \
        '($plan | {name, folder, base, layers}) + $built'
}

# Say what the plan warns of.
image::tell_warnings() {
    local line
    while IFS= read -r line; do
        [[ -z "${line}" ]] || core::warn "${line}"
    done < <(jq -r '.warnings[]?' <<< "${IMAGE_PLAN}")
}

# Tell what was built, and what to type next.
image::print_summary() {
    local size
    size="$(numfmt --to=si --round=nearest --suffix=B "$(jq -r '.size // 0' <<< "${IMAGE_BUILT}")")"
    jq -rn --argjson plan "${IMAGE_PLAN}" --argjson built "${IMAGE_BUILT}" --arg size "${size}" '
        def given($what): if . == null or . == "" then empty else $what + . end;
        if $built.id == null then
            "source     \($plan.folder)",
            "next       image-update \($plan.name) --rebuild"
        else
            "image      \($plan.name) (\($built.reference), \($size), built in \($built.seconds | round) s)",
            ($plan.base.image | given("base       ")),
            ([$plan.layers[]?.name] | join(", ") | given("layers     ")),
            "source     \($plan.folder)",
            ($built.log | given("log        ")),
            "next       container-run my-project --image \($plan.name)"
        end'
}

# Say which containers still run an older build of the image, and how to move one.
image::tell_outdated() { # [<container whose packages are in the image now>]
    local names name keep="keep what you installed in it with 'container-save"
    mapfile -t names < <(jq -r '.outdated[]' <<< "${IMAGE_BUILT}")
    ((${#names[@]} > 0)) || return 0
    name="$(jq -r .name <<< "${IMAGE_PLAN}")"
    core::warn "made of an older build: $(core::join ', ' "${names[@]}")"
    # Those of other users, USER/NAME, are theirs to move.
    mapfile -t names < <(jq -r '.outdated[] | select(contains("/") | not)' <<< "${IMAGE_BUILT}")
    ((${#names[@]} > 0)) || return 0
    keep+=" ${names[0]}', then run "
    [[ "${names[0]}" != "${1:-}" ]] || keep='run '
    core::hint "to move one, ${keep}'container-remove ${names[0]}' and 'container-create ${names[0]} --image ${name}'; \
its workspace stays"
}

# The images that the user may use, as rows for a menu. Sets: the array named.
image::_rows() { # <array-name> <what jq makes of them>
    local -n image_rows="$1"
    local json
    json="$(core::helper images list --json)" || exit
    # shellcheck disable=SC2034 # the caller's array, by reference
    mapfile -t image_rows < <(jq -r "${IMAGE_JQ} .images | $2" <<< "${json}")
}

# The user's own images as tag and description, for a menu. Leaves where there are none. Sets: the array named.
image::items() { # <array-name>
    local -n image_items="$1"
    image::_rows "$1" '.[] | select(.mine) | .name, "\(ground), \(size), \(age) old, \(use)"'
    ((${#image_items[@]} > 0)) || core::die "${EXIT_NOT_FOUND}" "you have no images" "run 'image-create' to make one"
}

# The images that a container can be made of, own ones first, then those that others share as USER/NAME. Sets: the array
# named, to tags and descriptions.
image::offers() { # <array-name>
    image::_rows "$1" '(map(select(.mine)) | .[] | .name, "yours, \(ground), \(size), \(age) old"),
        (map(select(.mine | not)) | .[] | "\(.user)/\(.name)", "shared, \(ground), \(size), \(age) old")'
}

# What the catalog has for this host, or for an architecture, the newest first: `FRAMEWORK VERSION` and the image, for a
# menu. Sets: the array named, IMAGE_ARCHITECTURE.
image::frameworks() { # <array-name> [<architecture>]
    local -n image_frameworks="$1"
    local json
    json="$(core::helper catalog list ${2:+--arch "$2"})" || exit
    IMAGE_ARCHITECTURE="$(jq -r .architecture <<< "${json}")"
    # shellcheck disable=SC2034 # the caller's array, by reference
    mapfile -t image_frameworks < <(jq -r '.images[] | .framework + " " + .version, .image' <<< "${json}")
}

# Has the user an image of that name?
image::is_mine() { # <name>
    local json
    json="$(core::helper images resolve -- "$1")" || exit
    jq -e '.found and .mine' <<< "${json}" > /dev/null
}

# Ask for one of the user's own images. Prints: its name.
image::choose_one() { # <title>
    local chosen=''
    image::step chosen "$1" || menu::left
    printf '%s\n' "${chosen}"
}

# A step of menu::walk: one of the user's own images; the one that was chosen before is marked. Sets: the variable named.
image::step() { # <variable> <title>
    local -n image_step="$1"
    local items=() answer
    image::items items
    answer="$(menu::select --default "${image_step}" "$2" "Which image?" "${items[@]}")" || return
    image_step="${answer}"
}

# A step of menu::walk: any number of the user's own images; those that were chosen before are marked. Sets: the array
# named.
image::several() { # <array-name> <title>
    local items=()
    image::items items
    choose::marked "$1" "$2" "Which images?" "${items[@]}"
}
