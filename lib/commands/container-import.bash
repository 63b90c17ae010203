# shellcheck shell=bash
# container-import: a container of the user's own from an exported file, by the embedded mlc through the gateway.
: "${CREATE_MADE?set by lib}" "${CREATE[name]?set by lib}" "${CREATE_TAKEN?set by lib}" "${EXIT_OK:?}"

main() {
    local words=() json=''
    while (($# > 0)); do
        case "$1" in
            -h | --help) core::help && exit "${EXIT_OK}" ;;
            --json) json=yes && shift ;;
            -g | --gpus | --gpu-mem | --wait | -w | --workspace | -d | --data | -m | --models | -q | --quiet)
                create::option "$@"
                shift "${CREATE_TAKEN}"
                ;;
            --gpus=* | --gpu-mem=* | --wait=* | --workspace=* | --data=* | --models=*)
                create::option "$@"
                shift "${CREATE_TAKEN}"
                ;;
            --) shift && words+=("$@") && break ;;
            -) words+=("$1") && shift ;;
            -*) core::unknown_option "$1" ;;
            *) words+=("$1") && shift ;;
        esac
    done
    ((${#words[@]} <= 2)) || core::usage_error "unexpected word '${words[2]}'"

    mlc::load
    if ((${#words[@]} == 0)); then
        core::is_interactive || core::missing FILE
        words[0]="$(menu::input Import "File to import:" "${PWD}/")" || menu::left
    fi

    create::import "${words[0]}" "${words[1]:-}"
    if [[ -n "${json}" ]]; then
        printf '%s\n' "${CREATE_MADE}"
    elif [[ -z "${CORE_QUIET}" ]]; then
        create::summary
    fi
}
