# shellcheck shell=bash
# user-setup: look at what a new user needs, step by step, and put right what is missing.
# Each step has two functions: _see_STEP says what is there (status 1: something is missing), _mend_STEP puts it right.
: "${EXIT_LEFT:?}" "${EXIT_PREREQUISITE:?}" "${EXIT_USAGE:?}" "${GUIDE_ON?set by lib}" "${PROJECT_ROOT:?}" \
    "${PROJECT_WORDS?set by lib}"

readonly SETUP_STEPS=(access workspace limits ssh git vscode project)
# What is offered where something is missing.
declare -rA SETUP_OFFERS=([workspace]='make the folder' [ssh]='make a key in ~/.ssh, without a passphrase'
    [git]='tell git who you are' [project]='make one, after a few questions')
declare -A SETUP=([check]='' [yes]='' [json]='' [git_name]='' [git_email]='' [project]='' [workspace]='' [asks]='')
# By step: what was answered, what was found at last, and whether something is missing still.
declare -A SETUP_ANSWERS=() SETUP_WORDS=() SETUP_MISSING=()
# The words that say the same as the answers to a step's own questions.
SETUP_LINE=()
# The command that makes the project which was asked for, where no word of this command says the same.
SETUP_PROJECT_LINE=()
# Set once something was put right.
SETUP_DONE=''
# The first project that is there; and set once one was made: `told` if that has said what comes next.
SETUP_PROJECT='' SETUP_MADE=''
# The status of a step's own questions when a person went back from the first.
readonly SETUP_BACK=9
# What the step at hand found, in words.
SETUP_FOUND=''
# The installation's settings as JSON; empty where they cannot be read.
SETUP_SETTINGS=''

main() {
    local only=() skip=() step steps=() missing=() found='[]' next=container-run near fault=''
    options::parse "$@"
    options::fill SETUP
    options::values only --only
    options::values skip --skip
    for step in "${only[@]}" "${skip[@]}"; do
        [[ " ${SETUP_STEPS[*]} " != *" ${step} "* ]] || continue
        near="$(nearest::word "${step}" "${SETUP_STEPS[@]}")"
        [[ -z "${near}" ]] || core::die "${EXIT_USAGE}" "'${step}' is not a step" "did you mean '${near}'?"
        core::usage_error "'${step}' is not a step, known are $(core::join ', ' "${SETUP_STEPS[@]}")"
    done
    for step in name email; do
        [[ -z "${SETUP[git_${step}]}" ]] || fault+="$(user-setup::_git_fault "${step}" "${SETUP[git_${step}]}")"
        [[ -z "${fault}" ]] || core::usage_error "${fault}"
    done
    if [[ -z "${SETUP[yes]}${SETUP[check]}" ]]; then
        core::is_interactive || core::missing "'--check' or '--yes'"
        SETUP[asks]=yes
    fi
    for step in "${SETUP_STEPS[@]}"; do
        ((${#only[@]} == 0)) || [[ " ${only[*]} " == *" ${step} "* ]] || continue
        [[ " ${skip[*]:-} " == *" ${step} "* ]] || steps+=("${step}")
    done

    # Where they are broken, the step `access` says why.
    SETUP_SETTINGS="$(core::helper settings show 2> /dev/null)" || true
    SETUP[workspace]="$(jq -r '.workspace_dir // ""' <<< "${SETUP_SETTINGS}")"
    SETUP[workspace]="${SETUP[workspace]:-${HOME}/workspace}"
    menu::walk "${steps[@]/#/user-setup::_step_}" || user-setup::_left
    for step in "${steps[@]}"; do
        [[ -z "${SETUP_MISSING[${step}]}" ]] || missing+=("${step}")
        found="$(jq -c --arg step "${step}" --arg words "${SETUP_WORDS[${step}]}" \
            --arg missing "${SETUP_MISSING[${step}]}" '. + [{step: $step, ok: ($missing == ""), words: $words}]' <<< "${found}")"
    done
    [[ -z "${SETUP[json]}" ]] || jq -c '{steps: .}' <<< "${found}"
    user-setup::_tell_line
    [[ "${SETUP_MADE}" != yes ]] || project::tell_next "${SETUP[workspace]}/${PROJECT[name]}"
    if ((${#missing[@]} > 0)); then
        core::warn "not in place: $(core::join ', ' "${missing[@]}")"
        core::hint "run 'user-setup --only ${missing[0]}' when you want to go on"
        exit "${EXIT_PREREQUISITE}"
    fi
    [[ -z "${SETUP_MADE}" ]] || return 0
    ! project::is_name "${SETUP_PROJECT}" || next+=" ${SETUP_PROJECT}"
    core::info "next: ${next}"
}

# Leave, as menu::left does where nothing was done.
user-setup::_left() {
    [[ -n "${SETUP_DONE}" ]] || menu::left
    core::info "left; what was put right stays so"
    exit "${EXIT_LEFT}"
}

# The steps of menu::walk.
user-setup::_step_access() { user-setup::_step access; }
user-setup::_step_workspace() { user-setup::_step workspace; }
user-setup::_step_limits() { user-setup::_step limits; }
user-setup::_step_ssh() { user-setup::_step ssh; }
user-setup::_step_git() { user-setup::_step git; }
user-setup::_step_vscode() { user-setup::_step vscode; }
user-setup::_step_project() { user-setup::_step project; }

# See, and where something is missing, mend it if the person wants that, and see again.
# Returns: as a step of menu::walk; back comes by what is in place already.
user-setup::_step() { # <step>
    local status=0 answered=2 say=core::info
    "user-setup::_see_$1" || status=$?
    ((status != 255)) || return 255
    if ((status != 0)) && [[ -z "${SETUP[check]}" ]] && declare -F "user-setup::_mend_$1" > /dev/null; then
        if [[ -n "${SETUP[asks]}" ]]; then
            user-setup::_ask "$1" || return
            answered=0
        else
            "user-setup::_mend_$1" || true
        fi
        status=0
        "user-setup::_see_$1" || status=$?
    fi
    if [[ "${SETUP_WORDS[$1]:-}" != "${SETUP_FOUND}" ]]; then
        ((status == 0)) || say=core::warn
        "${say}" "$1: ${SETUP_FOUND}"
        # The next question would hide that line.
        ((status == 0)) || [[ -z "${SETUP[asks]}" || "${SETUP_ANSWERS[$1]:-}" == skip ]] \
            || menu::message "First steps: $1" "${SETUP_FOUND^}.

This could not be put right now; the steps that follow can be taken all the same." || return
    fi
    SETUP_WORDS["$1"]="${SETUP_FOUND}" SETUP_MISSING["$1"]=''
    ((status == 0)) || SETUP_MISSING["$1"]=yes
    return "${answered}"
}

# Note that something is missing. Returns: 1, always.
user-setup::_lacks() { # <what, in words>
    SETUP_FOUND="$1"
    return 1
}

# Say why something could not be put right. Returns: 1, always.
user-setup::_failed() { # <message> <hint>
    core::error "$1"
    core::hint "$2"
    return 1
}

# Should this be put right? Then it is. Returns: as a step of menu::walk.
user-setup::_ask() { # <step>
    local answer status first="${MENU_BACK}" MENU_BACK
    while true; do
        MENU_BACK="${first}"
        answer="$(menu::select --default "${SETUP_ANSWERS[$1]:-}" "First steps: $1" "${SETUP_FOUND^}.

Shall this be put right now?" yes "${SETUP_OFFERS[$1]}" skip "leave it as it is")" || return
        SETUP_ANSWERS["$1"]="${answer}"
        [[ "${answer}" == yes ]] || return 0
        status=0 MENU_BACK=Back
        "user-setup::_mend_$1" || status=$?
        ((status != 255)) || return 255
        # Back from its own questions is back to this one; what failed has said so.
        ((status != SETUP_BACK)) || continue
        ((status != 0)) || SETUP_DONE=yes
        return 0
    done
}

# Say the same in one line, if anything was asked.
user-setup::_tell_line() {
    local step words=(--yes)
    ((${#SETUP_ANSWERS[@]} > 0)) || return 0
    for step in "${SETUP_STEPS[@]}"; do
        [[ "${SETUP_ANSWERS[${step}]:-}" != skip ]] || words+=(--skip "${step}")
    done
    core::answered "${words[@]}" "${SETUP_LINE[@]}"
    core::tell_line
    ((${#SETUP_PROJECT_LINE[@]} == 0)) || core::same_in_words "${SETUP_PROJECT_LINE[@]}"
}

user-setup::_see_access() {
    local socket
    guide::say container || return
    SETUP_FOUND="the Docker engine answers you"
    if [[ -z "${SETUP_SETTINGS}" ]] || ! (mlc::load "${SETUP_SETTINGS}") 2> /dev/null; then
        SETUP_FOUND="DS01 is not usable: $( (mlc::load "${SETUP_SETTINGS}") 2>&1 | sed -n 's/^[^:]*: error: //p')"
        return 1
    fi
    mlc::load "${SETUP_SETTINGS}"
    docker::answers && return 0
    socket="${DOCKER_HOST:?set by mlc::load}" socket="${socket#unix://}"
    SETUP_FOUND="the Docker engine does not run: ask the administrator"
    [[ ! -S "${socket}" || -w "${socket}" ]] || SETUP_FOUND="you may not use the Docker engine: ask the administrator for\
 'usermod -aG $(stat -c %G -- "${socket}") $(id -un)', then log in anew"
    return 1
}

user-setup::_see_workspace() {
    guide::say workspace || return
    SETUP_FOUND="'${SETUP[workspace]}' is /workspace in your containers"
    [[ -d "${SETUP[workspace]}" ]] || user-setup::_lacks "there is no folder '${SETUP[workspace]}' yet" || return
    [[ -w "${SETUP[workspace]}" ]] || user-setup::_lacks "you may not write in '${SETUP[workspace]}'"
}

user-setup::_mend_workspace() {
    mkdir -p -- "${SETUP[workspace]}"
}

user-setup::_see_limits() {
    local json host
    guide::say limits || return
    json="$(core::helper get_resource_limits 2> /dev/null)" \
        || user-setup::_lacks "the policy cannot be read: run 'ds01-config check'" || return
    # No container gets more than the server has; where the engine does not say how much that is, the policy alone counts.
    host="$( (mlc::load "${SETUP_SETTINGS}" && docker::host_size) 2> /dev/null)" || host=null
    SETUP_FOUND="$(jq -r --argjson host "${host}" 'def lowest: map(select(. != null)) | min;
        def endless($word): "any number of \($word)s";
        def many($word): if . == null then endless($word) elif . == 1 then "1 \($word)" else "\(.) \($word)s" end;
        def gib: if . == null then "any amount" else "\(. / 107374182.4 | floor / 10) GiB" end;
        def span: if . % 3600 == 0 then "\(. / 3600) h" else "\(. / 60 | floor) min" end;
        def idle: if . == null then "never stopped when idle" else "stopped when idle for \(span)" end;
        .limits | "\([.max_cpus, $host.cpus] | lowest | many("CPU"))"
        + " and \([.memory, .memory_swap, $host.memory] | lowest | gib) of memory in a container, "
        + if .max_gpus == null and .max_containers_per_user == null then "any number of GPUs and containers"
          else "\(.max_gpus | many("GPU")) and \(.max_containers_per_user | many("container")) in all" end
        + "; \(.idle_timeout | idle)"' <<< "${json}")"
    guide::say gpus || return
    guide::say idle || return
}

user-setup::_see_ssh() {
    local key
    for key in "${HOME}"/.ssh/id_*.pub; do
        [[ -s "${key}" ]] || continue
        SETUP_FOUND="your public key is in '${key}'"
        return 0
    done
    user-setup::_lacks "you have no SSH key here, which git servers ask for"
}

user-setup::_mend_ssh() {
    type -P ssh-keygen > /dev/null || user-setup::_failed "'ssh-keygen' is not installed" \
        "ask the administrator for the package 'openssh-client'" || return
    # Its rights matter to ssh, whatever the umask is.
    local file="${HOME}/.ssh/id_ed25519" line
    [[ -d "${HOME}/.ssh" ]] || mkdir -m 700 -- "${HOME}/.ssh" || return 1
    if [[ -e "${file}" ]]; then
        # Of a key that is there only the public half is missing. One with a passphrase would ask for it.
        line="$(ssh-keygen -y -P '' -f "${file}" 2> /dev/null < /dev/null)" \
            || user-setup::_failed "the key in '${file}' has no public half beside it" \
                "run 'ssh-keygen -y -f ~/.ssh/id_ed25519 > ~/.ssh/id_ed25519.pub'" || return
        printf '%s\n' "${line}" > "${file}.pub" || return 1
        core::info "give this line to your git server: ${line}"
        return 0
    fi
    ssh-keygen -q -t ed25519 -N '' -C "$(id -un)@$(uname -n)" -f "${file}" < /dev/null > /dev/null \
        || user-setup::_failed "no key could be made in '${HOME}/.ssh'" "run 'ls -la ~/.ssh' to see why" || return
    core::info "give this line to your git server: $(< "${file}.pub")"
    core::info "'ssh-keygen -p -f ~/.ssh/id_ed25519' adds a passphrase"
}

user-setup::_see_git() {
    local name email
    type -P git > /dev/null || user-setup::_lacks "git is not installed: ask the administrator" || return
    name="$(git config --global user.name || true)"
    email="$(git config --global user.email || true)"
    SETUP_FOUND="you are '${name} <${email}>' in commits"
    [[ -n "${name}" && -n "${email}" ]] || user-setup::_lacks "git does not know your name and address"
}

user-setup::_mend_git() {
    local name email status=0
    type -P git > /dev/null || return 0
    if [[ -n "${SETUP[asks]}" ]]; then
        name="${SETUP[git_name]}" email="${SETUP[git_email]}"
        menu::walk user-setup::_ask_git_name user-setup::_ask_git_email || status=$?
        ((status != 1)) || return "${SETUP_BACK}"
        ((status == 0)) || return "${status}"
        [[ -n "${SETUP[git_name]}" ]] || SETUP_LINE+=(--git-name "${name}")
        [[ -n "${SETUP[git_email]}" ]] || SETUP_LINE+=(--git-email "${email}")
        SETUP[git_name]="${name}" SETUP[git_email]="${email}"
    fi
    [[ -z "${SETUP[git_name]}" ]] || git config --global user.name "${SETUP[git_name]}"
    [[ -z "${SETUP[git_email]}" ]] || git config --global user.email "${SETUP[git_email]}"
}

user-setup::_ask_git_name() {
    local usual
    usual="$(git config --global user.name || getent passwd "${UID}" | cut -d: -f5 | cut -d, -f1)"
    user-setup::_ask_git name "${usual}" "Your name, as it shall stand in commits"
}

user-setup::_ask_git_email() {
    user-setup::_ask_git email "$(git config --global user.email || true)" "Your e-mail address"
}

# Ask for a line until it is one that git takes. What is usual is not written into the field: whoever types adds to what
# stands there. Sets: the variable named, whose value is that of the last time.
user-setup::_ask_git() { # <name|email> <usual> <text>
    local -n git_value="$1"
    local answer="${git_value}" text fault
    [[ -z "${SETUP[git_$1]}" ]] || return 2
    while true; do
        text="$3:"
        [[ -z "$2" || -n "${answer}" ]] || text="$3 (empty for '$2'):"
        answer="$(menu::input "First steps: git" "${text}" "${answer}")" || return
        answer="${answer:-$2}"
        fault="$(user-setup::_git_fault "$1" "${answer}")"
        [[ -n "${fault}" ]] || break
        menu::message "First steps: git" "${fault}." || return
    done
    git_value="${answer}"
}

# What is wrong with a name or an address in git's commits. Prints: it; nothing where git takes it.
user-setup::_git_fault() { # <name|email> <value>
    if [[ "$1" == name ]]; then
        # These git leaves out.
        [[ -n "${2//[[:space:]<>.,:;\"\'\\]/}" ]] || printf "'%s' is not a name for git's commits\n" "$2"
    else
        [[ "$2" =~ ^[^[:space:]\<\>@]+@[^[:space:]\<\>@]+$ ]] || printf "'%s' is not an e-mail address\n" "$2"
    fi
}

user-setup::_see_vscode() {
    SETUP_FOUND="in VS Code, 'Remote-SSH: Connect to Host' with '$(id -un)@$(uname -n)', then 'Attach to Running Container';\
 '${PROJECT_ROOT}/docs/users-guide.md' has the rest"
}

user-setup::_see_project() {
    local found=()
    guide::say project || return
    mapfile -t found < <(find "${SETUP[workspace]}" -mindepth 2 -maxdepth 2 \
        -name requirements.txt -printf '%h\n' 2> /dev/null | sort)
    SETUP_FOUND="you have ${#found[@]} in your workspace"
    ((${#found[@]} > 0)) || user-setup::_lacks "there is no project in your workspace yet" || return
    SETUP_FOUND+=", the first is '${found[0]}'" SETUP_PROJECT="${found[0]##*/}"
}

user-setup::_mend_project() {
    local status=0 words=()
    if [[ -n "${SETUP[project]}" ]]; then
        PROJECT[name]="${SETUP[project]}"
        words=(project-init "${SETUP[project]}" --yes)
    elif [[ -z "${SETUP[asks]}" ]]; then
        core::hint "run 'project-init my-project', or choose another name for it"
        return 0
    else
        project::walk || status=$?
        ((status != 1)) || return "${SETUP_BACK}"
        ((status == 0)) || return "${status}"
        project::set_words
        words=("${PROJECT_WORDS[@]}")
        # What is more than a name has a line of its own.
        SETUP_PROJECT_LINE=()
        if ((${#PROJECT_WORDS[@]} == 2)); then
            SETUP_LINE+=(--project "${PROJECT_WORDS[1]}")
        else
            SETUP_LINE+=(--skip project)
            SETUP_PROJECT_LINE=("${PROJECT_WORDS[@]}")
        fi
    fi
    [[ -z "${GUIDE_ON}" ]] || words+=(--guided)
    menu::run_command "${words[@]}" || return
    [[ -n "${MENU_ASKED}" ]] && SETUP_MADE=yes || SETUP_MADE=told
}
