#compdef @COMMANDS@
# Completion of DS01's commands for zsh. Made by python/help_pages.py; what a word may be is told by python/complete.py.
_ds01() {
    local root=@ROOT@ python line kind longest=0
    local -a answers words_found shown
    python="${root}/venv/bin/python3"
    [[ -x "${python}" ]] || python=python3
    answers=("${(@f)$("${python}" -sE "${root}/python/complete.py" -- "${(@Q)words[1,CURRENT-1]}" "${(Q)PREFIX}" 2> /dev/null)}")
    for line in "${answers[@]}"; do
        case "${line}" in
            '') ;;
            :files | :folders) kind="${line}" ;;
            *)
                words_found+=("${line%%$'\t'*}")
                ((${#words_found[-1]} <= longest)) || longest=${#words_found[-1]}
                ;;
        esac
    done
    for line in "${(@M)answers:#*$'\t'*}"; do
        shown+=("${(r:longest:)line%%$'\t'*}  ${line#*$'\t'}")
    done
    if ((${#words_found} > 0)); then
        # In the order in which they came, with no blank after a sign that a value follows.
        if [[ ${#words_found} -eq 1 && "${words_found[1]}" == *= ]]; then
            compadd -S '' -l -d shown -a words_found
        else
            compadd -V ds01 -l -d shown -a words_found
        fi
    fi
    if [[ -n "${kind}" ]]; then
        [[ "${PREFIX}" != -*=* ]] || compset -P '*='
        if [[ "${kind}" == :folders ]]; then _files -/; else _files; fi
    fi
    return 0
}
_ds01 "$@"
