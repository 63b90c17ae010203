# shellcheck shell=bash
# What a mistyped word was most likely meant to be.
: "${PROJECT_ROOT:?set by lib/run-command}"

# The word that a typing error most likely meant: one that begins with it, or differs least. Prints: nothing for none.
nearest::word() { # <word> <known-word>...
    local word="$1" known best='' least distance bare="${1#-}"
    shift
    bare="${bare#-}"
    ((${#bare} >= 2 && ${#bare} <= 40)) || return 0
    # One wrong letter in three.
    least=$(((${#bare} + 1) / 3 + 1))
    for known in "$@"; do
        if [[ "${known}" == "${word}"* ]]; then
            printf '%s\n' "${known}"
            return 0
        fi
        distance="$(nearest::_distance "${word}" "${known}")"
        ((distance >= least)) || best="${known}" least="${distance}"
    done
    [[ -z "${best}" ]] || printf '%s\n' "${best}"
}

# How many letters must be added, taken away, replaced or swapped with the next to make one word of another. Prints: it.
nearest::_distance() { # <word> <word>
    local one="$1" other="$2" i j cost before=() above=() row=()
    for ((j = 0; j <= ${#other}; j++)); do
        row[j]="${j}"
    done
    for ((i = 1; i <= ${#one}; i++)); do
        before=("${above[@]}") above=("${row[@]}") row=("${i}")
        for ((j = 1; j <= ${#other}; j++)); do
            cost=1
            [[ "${one:i-1:1}" != "${other:j-1:1}" ]] || cost=0
            row[j]=$((above[j - 1] + cost))
            ((above[j] + 1 >= row[j])) || row[j]=$((above[j] + 1))
            ((row[j - 1] + 1 >= row[j])) || row[j]=$((row[j - 1] + 1))
            if ((i > 1 && j > 1)) && [[ "${one:i-1:1}${one:i-2:1}" == "${other:j-2:1}${other:j-1:1}" ]]; then
                ((before[j - 2] + 1 >= row[j])) || row[j]=$((before[j - 2] + 1))
            fi
        done
    done
    printf '%s\n' "${row[${#other}]}"
}
