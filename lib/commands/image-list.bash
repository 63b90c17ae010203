# shellcheck shell=bash
# image-list: the user's images and the shared ones.
: "${OPTIONS[help]?set by lib}"

main() {
    options::parse "$@"

    [[ -z "${OPTIONS[interactive]}" ]] || core::is_interactive \
        || core::usage_error "nobody can be asked: '--interactive' needs a terminal"
    mlc::load
    [[ -z "${OPTIONS[interactive]}" ]] || image-list::_pick
    core::run_pre_hooks
    core::helper images list ${OPTIONS[all]:+--all} ${OPTIONS[json]:+--json}
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
