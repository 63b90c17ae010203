# shellcheck shell=bash
# What a new image should be, in words: the options of image-create, which its questions (image_menu.bash) fill as well.
: "${PROJECT_ROOT:?set by lib/run-command}" "${EXIT_USAGE:?}"

# What flags and menus fill. What may be given several times is in arrays of its own.
declare -A IMAGE=([name]='' [framework]='' [version]='' [from]='' [arch]='' [dockerfile]='' [project]='' [no_tiers]=''
    [shared]='' [no_build]='' [no_cache]='' [dry_run]='' [json]='' [yes]='')
IMAGE_TIERS=() IMAGE_TYPES=() IMAGE_PIP=() IMAGE_SYSTEM=() IMAGE_REQUIREMENTS=() IMAGE_PIP_OPTIONS=()
# The words of image_plan create, set by image::set_words.
IMAGE_WORDS=("")

# Take the options of image-create.
image::take_options() {
    local lists=() list
    options::fill IMAGE
    options::values IMAGE_TIERS --tier
    options::values IMAGE_TYPES --type
    options::values IMAGE_REQUIREMENTS --requirements
    options::values IMAGE_PIP_OPTIONS --pip-option
    options::values lists --packages
    for list in "${lists[@]}"; do image::split IMAGE_PIP "${list}"; done
    lists=()
    options::values lists --system
    for list in "${lists[@]}"; do image::split IMAGE_SYSTEM "${list}"; done
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

# Check the name of an image, as python/ds01/images/source/names.py does.
image::check_name() { # <name>
    image::is_name "$1" || core::die "${EXIT_USAGE}" "'$1' is not a name for an image" \
        "use lower-case letters and digits, parts joined by single '-', '.' or '_', at most 63 characters"
}

image::is_name() { # <name>
    ((${#1} <= 63)) && [[ "$1" =~ ^[a-z0-9]+([._-][a-z0-9]+)*$ ]]
}

# Print the command line that asks for the same.
image::command_line() {
    local words=(image-create "${IMAGE[name]}") line=() plain=() key item
    for key in framework version from arch dockerfile project; do
        [[ -z "${IMAGE[${key}]}" ]] || words+=("--${key}" "${IMAGE[${key}]}")
    done
    for item in "${IMAGE_TIERS[@]}"; do words+=(--tier "${item}"); done
    [[ -z "${IMAGE[no_tiers]}" ]] || words+=(--no-tiers)
    for item in "${IMAGE_TYPES[@]}"; do words+=(--type "${item}"); done
    for item in "${IMAGE_PIP[@]}"; do
        # One with a blank or a marker inside stands alone.
        if [[ "${item}" == *[[:space:]\;]* ]]; then
            words+=(--packages "${item}")
        else
            plain+=("${item}")
        fi
    done
    ((${#plain[@]} == 0)) || words+=(--packages "${plain[*]}")
    ((${#IMAGE_SYSTEM[@]} == 0)) || words+=(--system "${IMAGE_SYSTEM[*]}")
    for item in "${IMAGE_REQUIREMENTS[@]}"; do words+=(--requirements "${item}"); done
    for item in "${IMAGE_PIP_OPTIONS[@]}"; do words+=("--pip-option=${item}"); done
    for key in shared no_build no_cache dry_run json yes; do
        [[ -z "${IMAGE[${key}]}" ]] || words+=("--${key//_/-}")
    done
    for item in "${words[@]}"; do
        [[ "${item}" =~ ^[A-Za-z0-9_.,:/@%+=-]+$ ]] || item="${item@Q}"
        line+=("${item}")
    done
    printf '%s\n' "${line[*]}"
}

# Offer to build the offline base, if the image is to be built on it and it is not there. Returns: as create::offer_base.
image::offer_base() {
    local words=(--framework "${IMAGE[framework]}")
    if [[ -n "${IMAGE[from]}" ]]; then
        words=(--image "${IMAGE[from]}")
    elif [[ -z "${IMAGE[framework]}" ]]; then
        # A Dockerfile says itself what it begins with.
        return 0
    fi
    [[ -z "${IMAGE[version]}" ]] || words+=(--version "${IMAGE[version]}")
    [[ -z "${IMAGE[arch]}" ]] || words+=(--arch "${IMAGE[arch]}")
    create::offer_base_of "${IMAGE[yes]}" "${words[@]}"
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
