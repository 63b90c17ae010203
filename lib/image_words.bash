# shellcheck shell=bash
# What a new image should be, in words: the options of image-create, and the wizard that asks for the same.
: "${PROJECT_ROOT:?set by lib/run-command}" "${EXIT_LEFT:?}" "${EXIT_NOT_FOUND:?}" "${EXIT_USAGE:?}" "${EXIT_OK:?}"

# What flags and menus fill. What may be given several times is in arrays of its own.
declare -A IMAGE=([name]='' [framework]='' [version]='' [from]='' [arch]='' [dockerfile]='' [project]='' [no_tiers]=''
    [shared]='' [no_build]='' [no_cache]='' [dry_run]='' [yes]='')
IMAGE_TIERS=() IMAGE_TYPES=() IMAGE_PIP=() IMAGE_SYSTEM=() IMAGE_REQUIREMENTS=() IMAGE_PIP_OPTIONS=()
# The words of image_plan create, set by image::set_words.
IMAGE_WORDS=("")
# The tiers and use cases of this server, as JSON.
IMAGE_TIERS_JSON=''

# Take an option that holds one value.
image::set() { # <option> [<value>...]
    local key="${1##*-}"
    core::need_value "$1" "$#" "${2:-}"
    case "$1" in
        -f) key=framework ;;
        -v) key=version ;;
        *) ;;
    esac
    IMAGE["${key}"]="$2"
}

# Take an option without a value.
image::flag() { # <key>
    IMAGE["$1"]=yes
}

# Take an option that may be given several times.
image::add() { # <option> [<value>...]
    core::need_value "$1" "$#" "${2:-}"
    case "$1" in
        --tier) IMAGE_TIERS+=("$2") ;;
        -t | --type) IMAGE_TYPES+=("$2") ;;
        -p | --packages) image::split IMAGE_PIP "$2" ;;
        -s | --system) image::split IMAGE_SYSTEM "$2" ;;
        -r | --requirements) IMAGE_REQUIREMENTS+=("$2") ;;
        *) IMAGE_PIP_OPTIONS+=("$2") ;;
    esac
}

# Take a list of packages apart. One with blanks inside, such as 'x @ URL', 'x >= 1' or 'x; marker', stands alone.
image::split() { # <array-name> <list>
    local -n image_split="$1"
    local words whole='[[:space:]][@<>=!~]|;|[@<>=!~,][[:space:]]'
    if [[ "$2" =~ ${whole} ]]; then
        image_split+=("$2")
    else
        read -ra words <<< "${2//$'\n'/ }"
        image_split+=("${words[@]}")
    fi
}

# Refuse words that contradict each other.
image::check_words() {
    [[ -z "${IMAGE[from]}" || -z "${IMAGE[framework]}" ]] || core::usage_error "give '--framework' or '--from', not both"
    [[ -z "${IMAGE[version]}" || -n "${IMAGE[framework]}" ]] || core::usage_error "'--version' needs '--framework'"
    [[ -z "${IMAGE[no_tiers]}" || ${#IMAGE_TIERS[@]} -eq 0 ]] || core::usage_error "give '--tier' or '--no-tiers', not both"
    [[ -z "${IMAGE[name]}" ]] || image::check_name "${IMAGE[name]}"
}

# Check the name of an image, as python/image_names.py does.
image::check_name() { # <name>
    image::is_name "$1" || core::die "${EXIT_USAGE}" "'$1' is not a name for an image" \
        "use lower-case letters and digits, parts joined by single '-', '.' or '_', at most 63 characters"
}

image::is_name() { # <name>
    ((${#1} <= 63)) && [[ "$1" =~ ^[a-z0-9]+([._-][a-z0-9]+)*$ ]]
}

# Ask for what is needed and missing, or say which words are missing where nobody can be asked.
image::ask_missing() {
    local missing=() steps=() status=0
    [[ -n "${IMAGE[name]}" ]] || missing+=(NAME) steps+=(image::_ask_name)
    [[ -n "${IMAGE[framework]}${IMAGE[from]}${IMAGE[dockerfile]}" ]] \
        || missing+=("'--framework' (or '--from')") steps+=(image::_ask_base)
    ((${#missing[@]} > 0)) || return 0
    core::is_interactive || core::missing "$(core::join ' and ' "${missing[@]}")"
    menu::walk "${steps[@]}" || status=$?
    ((status == 0)) || menu::left
}

# Ask for everything, step by step.
image::wizard() {
    local status=0
    image::_load_tiers
    menu::walk image::_ask_name image::_ask_base image::_ask_tiers image::_ask_types image::_ask_pip image::_ask_system \
        image::_ask_go || status=$?
    ((status == 0)) || menu::left
    core::info "the same in one line: $(image::command_line)"
}

image::_load_tiers() {
    [[ -n "${IMAGE_TIERS_JSON}" ]] || IMAGE_TIERS_JSON="$(core::helper package_tiers)" || exit
}

image::_ask_name() {
    local answer status=0
    while true; do
        answer="$(menu::input "New image" "A name for the image (lower-case letters, digits, . _ -):" "${IMAGE[name]}")" \
            || return
        IMAGE[name]="${answer}"
        ! image::is_name "${answer}" || return 0
        menu::message "New image" "'${answer}' is not a name for an image.

Use lower-case letters and digits, parts joined by single '-', '.' or '_'." || return
    done
}

image::_ask_base() {
    local json rows=() items=() answer status=0 default="${IMAGE[from]:-}"
    json="$(core::helper catalog list ${IMAGE[arch]:+--arch "${IMAGE[arch]}"})" || exit
    mapfile -t rows < <(jq -r '.images[] | (.framework + " " + .version), .image' <<< "${json}")
    items=("${rows[@]}" other "any other image, by its name")
    [[ -z "${IMAGE[framework]}" ]] || default="${IMAGE[framework]} ${IMAGE[version]}"
    [[ -z "${IMAGE[from]}" ]] || default=other
    answer="$(menu::select --default "${default}" "New image" "What should '${IMAGE[name]}' be built on?" "${items[@]}")" \
        || return
    if [[ "${answer}" == other ]]; then
        answer="$(menu::input "New image" "The image, as 'docker images' shows it:" "${IMAGE[from]}")" || status=$?
        # Back from here is back to the list.
        ((status != 1)) || { image::_ask_base && return || return; }
        ((status == 0)) || return "${status}"
        IMAGE[from]="${answer}" IMAGE[framework]='' IMAGE[version]=''
    else
        IMAGE[from]='' IMAGE[framework]="${answer%% *}" IMAGE[version]="${answer#* }"
    fi
}

# A check list out of tiers or use cases. Prints: the chosen names, a line each.
image::_choose_layers() { # <key> <text> <chosen>...
    local key="$1" text="$2" rows=() items=() i
    mapfile -t rows < <(jq -r --arg key "${key}" '.[$key][] | .name, "\(.pip + .apt | join(" ")) - \(.title)"' \
        <<< "${IMAGE_TIERS_JSON}")
    ((${#rows[@]} > 1)) || return 2
    for ((i = 0; i < ${#rows[@]}; i += 2)); do
        items+=("${rows[i]}" "${rows[i + 1]}" off)
        [[ " ${*:3} " != *" ${rows[i]} "* ]] || items[-1]=on
    done
    menu::checklist "New image" "${text}" "${items[@]}"
}

image::_ask_tiers() {
    local answer names=()
    mapfile -t names < <(jq -r '.tiers[].name' <<< "${IMAGE_TIERS_JSON}")
    [[ -n "${IMAGE[no_tiers]}" || ${#IMAGE_TIERS[@]} -gt 0 ]] || IMAGE_TIERS=("${names[@]}")
    answer="$(image::_choose_layers tiers "Which tiers should it have? (space marks)" "${IMAGE_TIERS[@]}")" || return
    IMAGE_TIERS=() IMAGE[no_tiers]=''
    [[ -n "${answer}" ]] || IMAGE[no_tiers]=yes
    [[ -z "${answer}" ]] || mapfile -t IMAGE_TIERS <<< "${answer}"
}

image::_ask_types() {
    local answer
    answer="$(image::_choose_layers use_cases "Which field is it for? (space marks; any number)" "${IMAGE_TYPES[@]}")" || return
    IMAGE_TYPES=()
    [[ -z "${answer}" ]] || mapfile -t IMAGE_TYPES <<< "${answer}"
}

image::_ask_pip() {
    local answer
    answer="$(menu::input "New image" "Python packages of your own, such as: rich polars>=1 (empty for none)" \
        "${IMAGE_PIP[*]}")" || return
    IMAGE_PIP=()
    image::split IMAGE_PIP "${answer}"
}

image::_ask_system() {
    local answer
    answer="$(menu::input "New image" "Debian packages of your own, such as: graphviz tree (empty for none)" \
        "${IMAGE_SYSTEM[*]}")" || return
    IMAGE_SYSTEM=()
    image::split IMAGE_SYSTEM "${answer}"
}

# The summary, and the last word.
image::_ask_go() {
    local answer text names=()
    mapfile -t names < <(jq -r '.tiers[].name' <<< "${IMAGE_TIERS_JSON}")
    # All tiers is what a command line without the option means.
    [[ "${IMAGE_TIERS[*]}" != "${names[*]}" ]] || IMAGE_TIERS=()
    image::set_words
    text="$(image::_summary)"
    answer="$(menu::select "New image" "${text}" build "build the image now" source "write the source, build it later" \
        show "print the Dockerfile and leave")" || return
    [[ "${answer}" != source ]] || IMAGE[no_build]=yes
    [[ "${answer}" != show ]] || IMAGE[dry_run]=yes
}

# Print what was chosen, for a person.
image::_summary() {
    local base="${IMAGE[from]}"
    [[ -n "${base}" ]] || base="${IMAGE[framework]} ${IMAGE[version]}"
    local tiers="${IMAGE_TIERS[*]:-all}"
    [[ -z "${IMAGE[no_tiers]}" ]] || tiers=none
    printf 'name    %s\nbase    %s\ntiers   %s\nfields  %s\npython  %s\ndebian  %s\n\nThe same in one line:\n%s\n' \
        "${IMAGE[name]}" "${base}" "${tiers}" "${IMAGE_TYPES[*]:-none}" "${IMAGE_PIP[*]:-none}" \
        "${IMAGE_SYSTEM[*]:-none}" "$(image::command_line)"
}

# Print the command line that asks for the same.
image::command_line() {
    local words=(image-create "${IMAGE[name]}") line=() key item
    for key in framework version from arch dockerfile project; do
        [[ -z "${IMAGE[${key}]}" ]] || words+=("--${key}" "${IMAGE[${key}]}")
    done
    for item in "${IMAGE_TIERS[@]}"; do words+=(--tier "${item}"); done
    [[ -z "${IMAGE[no_tiers]}" ]] || words+=(--no-tiers)
    for item in "${IMAGE_TYPES[@]}"; do words+=(--type "${item}"); done
    ((${#IMAGE_PIP[@]} == 0)) || words+=(--packages "${IMAGE_PIP[*]}")
    ((${#IMAGE_SYSTEM[@]} == 0)) || words+=(--system "${IMAGE_SYSTEM[*]}")
    for item in "${words[@]}"; do
        [[ "${item}" =~ ^[A-Za-z0-9_.,:/@%+=-]+$ ]] || item="${item@Q}"
        line+=("${item}")
    done
    printf '%s\n' "${line[*]}"
}

# Turn what was asked for into the words of image_plan. Sets: IMAGE_WORDS.
image::set_words() {
    local key item
    IMAGE_WORDS=("${IMAGE[name]}")
    for key in framework version from arch dockerfile project; do
        [[ -z "${IMAGE[${key}]}" ]] || IMAGE_WORDS+=("--${key}=${IMAGE[${key}]}")
    done
    for item in "${IMAGE_TIERS[@]}"; do IMAGE_WORDS+=("--tier=${item}"); done
    [[ -z "${IMAGE[no_tiers]}" ]] || IMAGE_WORDS+=(--no-tiers)
    for item in "${IMAGE_TYPES[@]}"; do IMAGE_WORDS+=("--type=${item}"); done
    for item in "${IMAGE_PIP[@]}"; do IMAGE_WORDS+=("--pip=${item}"); done
    for item in "${IMAGE_SYSTEM[@]}"; do IMAGE_WORDS+=("--system=${item}"); done
    for item in "${IMAGE_REQUIREMENTS[@]}"; do IMAGE_WORDS+=("--requirement=${item}"); done
    for item in "${IMAGE_PIP_OPTIONS[@]}"; do IMAGE_WORDS+=("--pip-option=${item}"); done
    [[ -z "${IMAGE[shared]}" ]] || IMAGE_WORDS+=(--shared)
}
