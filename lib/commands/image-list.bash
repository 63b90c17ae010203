# shellcheck shell=bash
# image-list: the user's images and the shared ones.
: "${EXIT_OK:?}"

main() {
    local flags=() asks=''
    while (($# > 0)); do
        case "$1" in
            -h | --help) core::help && exit "${EXIT_OK}" ;;
            -a | --all) flags+=(--all) && shift ;;
            -i | --interactive) asks=yes && shift ;;
            --json) flags+=(--json) && shift ;;
            -*) core::unknown_option "$1" ;;
            *) core::usage_error "unexpected word '$1'" ;;
        esac
    done

    [[ -z "${asks}" ]] || core::is_interactive \
        || core::usage_error "nobody can be asked: '--interactive' needs a terminal"
    mlc::load
    [[ -z "${asks}" ]] || image-list::_pick
    core::run_pre_hooks
    core::helper images list "${flags[@]}"
}

# Pick one of the user's images and act on it.
image-list::_pick() {
    local name=''
    menu::walk image-list::_pick_row image-list::_act || menu::left
}

image-list::_pick_row() {
    image::step name Images
}

image-list::_act() {
    choose::act Images "${name}" image-show "show what it is made of" image-update "change it and build it anew" \
        image-delete "delete it; its source stays"
}
