# shellcheck shell=bash
# image-show: what one image is made of.
: "${OPTIONS_GIVEN?set by lib}" "${OPTIONS_WORDS?set by lib}"

main() {
    options::parse "$@"
    local words=("${OPTIONS_WORDS[@]}")
    ((${#OPTIONS_GIVEN[@]} <= 1)) \
        || core::usage_error "give one of '${OPTIONS_GIVEN[0]}' and '${OPTIONS_GIVEN[1]}', not both"

    if ((${#words[@]} == 0)); then
        core::is_interactive || core::missing NAME
        words[0]="$(image::choose_one Show)" || exit
        core::answered "${words[0]}"
    fi
    mlc::load

    core::tell_line
    core::run_pre_hooks name "${words[0]}"
    core::helper images show "${OPTIONS_GIVEN[@]}" -- "${words[0]}"
}
