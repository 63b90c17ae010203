# shellcheck shell=bash
# How far long work is, as the lines `PERCENT TEXT` that menu::work shows: worked out from what mlc, docker, apt and
# mmdebstrap say of theirs. The percentage never goes back.
: "${PROJECT_ROOT:?set by lib/run-command}"

# The percentage shown, the stretch of the phase that is going on and of its step, how many of what there is to count in
# that step are done, and in how many rounds a package is.
declare -A GAUGE=([at]=0 [from]=0 [to]=0 [step_from]=0 [step_to]=0 [done]=0 [count]=0 [rounds]=3 [layers]=0 [here]=0
    [packages]=0)
# Of each layer that is fetched, the thousandths done and the kilobytes that have come.
declare -A GAUGE_LAYERS=() GAUGE_KILOBYTES=()
# What the phase does.
GAUGE_TEXT=''

# Make lines for menu::work of what is said while a container is made.
gauge::container() {
    local line
    gauge::_begin 0 5 'making the container'
    while IFS= read -r line; do
        line="${line#docker: }"
        case "${line}" in
            *': info: fetching '*) gauge::_begin 0 70 "${line#*: info: }" ;;
            *': info: preparing '*)
                line="${line#*: info: }"
                gauge::_begin "${GAUGE[at]}" 95 "${line%% (*}"
                ;;
            *': info: creating '*) gauge::_begin 95 99 "${line#*: info: }" ;;
            step\ *) gauge::_bytes "${line}" 70 ;;
            *) gauge::_layer "${line}" || gauge::_build_step "${line}" || gauge::_apt "${line}" || true ;;
        esac
    done
}

# Make lines for menu::work of what is said while a container goes into a file.
gauge::export() {
    local line
    gauge::_begin 0 99 'exporting the container'
    while IFS= read -r line; do
        [[ "${line}" != step\ * ]] || gauge::_bytes "${line}" 99
    done
}

# Make lines for menu::work of what is said while the offline base is built; each phase has the share of the time that
# it takes.
gauge::base() {
    local line
    gauge::_begin 0 1 'the build begins'
    while IFS= read -r line; do
        line="${line#mmdebstrap: }"
        case "${line}" in
            'I: running apt-get update'*) gauge::_begin 1 8 "Debian's packages" ;;
            'I: downloading packages'*) gauge::_begin 8 20 "the first packages" 1 ;;
            'I: extracting archives'*) gauge::_begin 20 45 "unpacking the first ${GAUGE[packages]} packages" ;;
            'I: installing essential'*)
                gauge::_begin 45 60 "installing the first packages" 2
                GAUGE[count]=$((GAUGE[packages] * 2))
                ;;
            'I: installing remaining'*) gauge::_begin 60 96 "installing the other packages" ;;
            'I: cleaning package'*) gauge::_begin 96 98 'cleaning up' ;;
            'I: removing tempdir'*) gauge::_begin 98 99 'handing the image to the engine' ;;
            *) gauge::_apt "${line}" || true ;;
        esac
    done
}

# A phase begins, which leads from one percentage to another.
gauge::_begin() { # <from> <to> <text> [<rounds of a package>]
    GAUGE_TEXT="$3"
    ((GAUGE[at] >= $1)) || GAUGE[at]="$1"
    GAUGE[from]="${GAUGE[at]}" GAUGE[to]="$2" GAUGE[step_from]="${GAUGE[at]}" GAUGE[step_to]="$2"
    GAUGE[done]=0 GAUGE[count]=0 GAUGE[rounds]="${4:-3}"
    gauge::_show ''
}

# One more of the things that the step counts is done.
gauge::_advance() { # <text behind that of the phase>
    local at
    ((GAUGE[done] >= GAUGE[count])) || GAUGE[done]=$((GAUGE[done] + 1))
    if ((GAUGE[count] > 0)); then
        at=$((GAUGE[step_from] + (GAUGE[step_to] - GAUGE[step_from]) * GAUGE[done] / GAUGE[count]))
        ((at <= GAUGE[at])) || GAUGE[at]="${at}"
    fi
    gauge::_show "$1"
}

# Print the line; the text of the phase gives way to what follows it.
gauge::_show() { # <text behind that of the phase>
    local text="${GAUGE_TEXT}" room=$((68 - ${#1}))
    ((${#text} <= room)) || text="${text:0:room-1}…"
    text+="${1:+: $1}"
    printf '%s %s\n' "${GAUGE[at]}" "${text//[[:cntrl:]]/?}"
}

# What mlc import and export say of the bytes of a file that have passed.
gauge::_bytes() { # <line> <percentage with all of them>
    local at
    [[ "$1" =~ ^step\ ([0-9]+)/([1-9][0-9]*)\ (.*)$ ]] || return 0
    [[ "${GAUGE_TEXT}" == "${BASH_REMATCH[3]}" ]] || gauge::_begin 0 "$2" "${BASH_REMATCH[3]}"
    at=$((GAUGE[from] + (GAUGE[to] - GAUGE[from]) * BASH_REMATCH[1] / BASH_REMATCH[2]))
    ((at <= GAUGE[at])) || GAUGE[at]="${at}"
    gauge::_show "$((BASH_REMATCH[1] / 1000000)) of $((BASH_REMATCH[2] / 1000000)) MB"
}

# What docker says of a layer that it fetches. Returns: 1 for any other line.
gauge::_layer() { # <line>
    local id said
    [[ "$1" =~ ^([0-9a-f]{12}):\ (.*)$ ]] || return 1
    id="${BASH_REMATCH[1]}" said="${BASH_REMATCH[2]}"
    case "${said}" in
        'Pulling fs layer') GAUGE[layers]=$((GAUGE[layers] + 1)) && gauge::_fetched "${id}" 0 ;;
        'Downloading '*/*) gauge::_part "${id}" 0 700 "${said##* }" ;;
        'Download complete') gauge::_fetched "${id}" 700 ;;
        # Unpacking the same bytes is quicker.
        'Extracting '*/*) gauge::_part "${id}" 700 1000 "${said##* }" ;;
        'Pull complete') GAUGE[here]=$((GAUGE[here] + 1)) && gauge::_fetched "${id}" 1000 ;;
        'Retrying in '*) gauge::_show "the registry is slow, ${said,}" ;;
        *) ;;
    esac
}

# So much of a layer is here, as docker tells it on a terminal only.
gauge::_part() { # <layer> <thousandths at its beginning> <and at its end> <bytes/of all>
    local some all
    gauge::_set_kilobytes some "${4%/*}" && gauge::_set_kilobytes all "${4#*/}" && ((all > 0)) || return 0
    (($2 > 0)) || GAUGE_KILOBYTES["$1"]="${some}"
    gauge::_fetched "$1" "$(($2 + ($3 - $2) * (some < all ? some : all) / all))"
}

# A number of bytes as docker writes it. Sets: the variable named. Returns: 1 if it is none.
gauge::_set_kilobytes() { # <variable> <text>
    local -n gauge_kilobytes="$1"
    local part
    [[ "$2" =~ ^([0-9]{1,9})(\.([0-9]{1,3}))?([kMGT]?)B$ ]] || return 1
    part="${BASH_REMATCH[3]}000"
    gauge_kilobytes=$((BASH_REMATCH[1] * 1000 + 10#${part:0:3}))
    case "${BASH_REMATCH[4]}" in
        T) gauge_kilobytes=$((gauge_kilobytes * 1000000)) ;;
        G) gauge_kilobytes=$((gauge_kilobytes * 1000)) ;;
        M) ;;
        k) gauge_kilobytes=$((gauge_kilobytes / 1000)) ;;
        *) gauge_kilobytes=$((gauge_kilobytes / 1000000)) ;;
    esac
}

# So many thousandths of what a layer needs are done.
gauge::_fetched() { # <layer> <thousandths>
    local sum=0 kilobytes=0 one at
    GAUGE_LAYERS["$1"]="$2"
    for one in "${GAUGE_LAYERS[@]}"; do sum=$((sum + one)); done
    for one in "${GAUGE_KILOBYTES[@]}"; do kilobytes=$((kilobytes + one)); done
    at=$((GAUGE[from] + (GAUGE[to] - GAUGE[from]) * sum / (${#GAUGE_LAYERS[@]} * 1000)))
    ((at <= GAUGE[at])) || GAUGE[at]="${at}"
    one="${GAUGE[here]} of ${GAUGE[layers]} layers"
    ((GAUGE[layers] != 1)) || one="${one%s}"
    ((kilobytes < 1000)) || one+=", $((kilobytes / 1000)) MB"
    gauge::_show "${one}"
}

# A step of a build begins, as both of docker's builders say it. Returns: 1 for any other line.
gauge::_build_step() { # <line>
    local number count width=$((GAUGE[to] - GAUGE[from]))
    [[ "$1" =~ ^'Step '([0-9]+)/([1-9][0-9]*)' : ' || "$1" =~ ^'#'[0-9]+' ['([^]]*' ')?([0-9]+)/([1-9][0-9]*)'] ' ]] \
        || return 1
    number="${BASH_REMATCH[-2]}" count="${BASH_REMATCH[-1]}"
    GAUGE[step_from]=$((GAUGE[from] + width * (number - 1) / count))
    GAUGE[step_to]=$((GAUGE[from] + width * number / count))
    GAUGE[done]=0 GAUGE[count]=0
    ((GAUGE[step_from] <= GAUGE[at])) || GAUGE[at]="${GAUGE[step_from]}"
    gauge::_show "step ${number} of ${count}"
}

# What apt says: each package is fetched, unpacked and set up. Returns: 1 for any other line.
gauge::_apt() { # <line>
    local line="$1" words
    # BuildKit's number and seconds.
    [[ ! "${line}" =~ ^'#'[0-9]+' '[0-9.]+' '(.*) ]] || line="${BASH_REMATCH[1]}"
    case "${line}" in
        'Get:'*' '*' '*' '*' '*)
            read -ra words <<< "${line}"
            # Until it is known what will be installed, these are lists.
            if ((GAUGE[count] == 0)); then
                gauge::_show 'fetching the lists'
            else
                gauge::_advance "fetching ${words[4]}"
            fi
            ;;
        'Unpacking '*) gauge::_package unpacking "${line#Unpacking }" ;;
        'Setting up '*) gauge::_package 'setting up' "${line#Setting up }" ;;
        *)
            [[ "${line}" =~ ^([0-9]+)\ upgraded,\ ([0-9]+)\ newly\ installed ]] || return 1
            GAUGE[packages]=$((BASH_REMATCH[1] + BASH_REMATCH[2]))
            GAUGE[done]=0 GAUGE[count]=$((GAUGE[packages] * GAUGE[rounds]))
            ;;
    esac
}

gauge::_package() { # <what is done> <package and more>
    local name="${2%% *}"
    gauge::_advance "$1 ${name%%:*}"
}
