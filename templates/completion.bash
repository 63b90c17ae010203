# shellcheck shell=bash
# Completion of DS01's commands for bash. Made by python/help_pages.py; what a word may be is told by python/complete.py.
_ds01_complete() {
    local root=@ROOT@ python line word i before='' current='' rest="${COMP_LINE:0:COMP_POINT}" words=() kind=''
    python="${root}/venv/bin/python3"
    [[ -x "${python}" ]] || python=python3
    # Bash also splits words at ':' and '='; those that no blank parts belong together.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word="${COMP_WORDS[i]}"
        if [[ "${rest}" == [[:space:]]* || ${#words[@]} -eq 0 ]]; then
            rest="${rest#"${rest%%[![:space:]]*}"}"
            words+=('')
        fi
        ((i < COMP_CWORD)) || word="${rest}"
        rest="${rest#"${word}"}"
        words[-1]+="${word}"
    done
    current="${words[-1]}"
    # Bash replaces only what stands behind the last of the signs that it splits at.
    case "${COMP_WORDBREAKS}" in
        *:*) [[ "${current}" != *:* ]] || before="${current%"${current##*:}"}" ;;
        *) ;;
    esac
    if [[ "${current}" == -*=* && "${current##*=}" != *:* && "${COMP_WORDBREAKS}" == *=* ]]; then
        before="${current%%=*}="
    fi
    COMPREPLY=()
    while IFS= read -r line; do
        case "${line}" in
            :files | :folders) kind="${line}" ;;
            *)
                word="${line%%$'\t'*}"
                COMPREPLY+=("${word#"${before}"}")
                ;;
        esac
    done < <("${python}" -sE "${root}/python/complete.py" -- "${words[@]}" 2> /dev/null)
    if [[ -n "${kind}" ]]; then
        [[ "${current}" != -*=* ]] || current="${current#*=}"
        compopt -o filenames 2> /dev/null
        word=-f
        [[ "${kind}" == :files ]] || word=-d
        while IFS= read -r line; do
            COMPREPLY+=("${line}")
        done < <(compgen "${word}" -- "${current}")
    elif [[ ${#COMPREPLY[@]} -eq 1 && "${COMPREPLY[0]}" == *= ]]; then
        compopt -o nospace 2> /dev/null
    fi
}
complete -F _ds01_complete @COMMANDS@
