# shellcheck shell=bash
# What --guided explains, step by step, in plain sentences: templates/guide/TOPIC.txt.
: "${PROJECT_ROOT:?set by lib/run-command}"

GUIDE_ON='' GUIDE_SAID=''

# Explain from now on.
guide::on() {
    GUIDE_ON=yes
}

# Explain a topic, once, if the person wants it; `NAME` in the text is the word given. Returns: 255 if the person left;
# what comes next (next-*) cannot be left.
guide::say() { # <topic> [<word>]
    local file="${PROJECT_ROOT}/templates/guide/$1.txt" text
    [[ -n "${GUIDE_ON}" && " ${GUIDE_SAID} " != *" $1 "* ]] || return 0
    GUIDE_SAID="${GUIDE_SAID} $1"
    text="$(< "${file}")"
    text="${text//NAME/${2:-NAME}}"
    if [[ "$1" == next-* ]] || ! core::is_interactive; then
        fold -s -w 78 <<< $'\n'"${text}" >&2
    else
        menu::message "$(sed -n 1p <<< "${text}")" "$(sed 1,2d <<< "${text}")"
    fi
}
