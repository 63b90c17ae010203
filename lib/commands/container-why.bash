# shellcheck shell=bash
# container-why: the story of one container.
: "${OPTIONS_GIVEN?set by lib}" "${OPTIONS_WORDS?set by lib}"

main() {
    options::parse "$@"
    local words=("${OPTIONS_WORDS[@]}")
    if ((${#words[@]} == 0)); then
        core::is_interactive || core::missing NAME
        words[0]="$(choose::one Why)" || exit
        core::answered "${words[0]}"
    fi

    core::tell_line
    core::run_pre_hooks name "${words[0]}"
    core::helper container_story "${OPTIONS_GIVEN[@]}" -- "${words[0]}"
}
