#!/usr/bin/env bats
# Which commands ask. What each asks is held by the walks in dialogues-*.bats: to the end, left at every question, and in
# plain lines.

load helper

# These print; bare.bats has them.
ASK_NOTHING=" check-limits $(sed -n "s/^readonly NOUN_ASK_NOTHING='\(.*\)'/\1/p" "${BATS_TEST_DIRNAME}/../../lib/noun.bash") "

@test "dialogues: every command that asks is walked through, with its screens and its plain lines kept" {
    local file name
    for file in "${BIN}"/*; do
        name="${file##*/}"
        [[ "${ASK_NOTHING}" != *" ${name} "* && ! -L "${file}" ]] || continue
        grep -qE "^ +begins .*BIN}/${name}\"" "${ROOT}"/tests/bats/dialogues-*.bats \
            && compgen -G "${ROOT}/tests/screens/${name}*.txt" > /dev/null \
            && compgen -G "${ROOT}/tests/screens/${name}*-plain.txt" > /dev/null \
            || { printf 'not walked through: %s\n' "${name}" && return 1; }
    done
}

@test "dialogues: every kept screen is one that a test looks at, and fits in 80 by 24" {
    local file name
    for file in "${ROOT}"/tests/screens/*.txt; do
        name="${file##*/}" name="${name%.txt}"
        grep -qE -- "(asks|tells|sees|look_on|terminal_matches|pick_last|mark_first_and_last) (.* )?${name}( |$)|walk_${name%-plain}\(\)" \
            "${ROOT}"/tests/bats/*.bats || { printf 'looked at by no test: %s\n' "${name}" && return 1; }
        [[ "${name}" != *-plain ]] || continue
        (($(wc -l < "${file}") <= 24 && $(LC_ALL=C.UTF-8 wc -L < "${file}") <= 80)) \
            || { printf 'too large: %s\n' "${name}" && return 1; }
    done
}
