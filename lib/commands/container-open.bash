# shellcheck shell=bash
# container-open: a shell in one of the user's containers.
: "${OPTIONS_WORDS?set by lib}"

main() {
    options::parse "$@"
    local words=("${OPTIONS_WORDS[@]}") engine_name

    if ((${#words[@]} == 0)); then
        core::is_interactive || core::missing NAME
        words[0]="$(choose::one Open)" || exit
        core::answered "${words[0]}"
    fi
    mlc::load

    create::check_name "${words[0]}"
    mlc::container_json "${words[0]}" > /dev/null || exit
    engine_name="$(create::engine_name "${words[0]}")"
    core::tell_line
    core::run_pre_hooks name "${words[0]}"
    session::open "${words[0]}" "${engine_name}"
}
