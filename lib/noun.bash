# shellcheck shell=bash
# What `container`, `image`, `gpu` and `ds01` do themselves when no command is named, or a wrong one. See lib/dispatch.
: "${PROJECT_ROOT:?set by lib/run-command}" "${COMMAND_NAME:?set by lib/run-command}" "${EXIT_USAGE:?}"

# These ask nothing. All others tell the line at the end, with the answers in it.
readonly NOUN_ASK_NOTHING='container-list container-stats ds01-doctor ds01-events ds01-lifecycle ds01-report gpu-queue gpu-status image-base image-list'

main() { # [<wrong-command>]
    local items=() status=0 chosen
    noun::_commands items
    (($# == 0)) || noun::_refuse "$1" "${items[@]}"
    chosen="$(menu::select "${COMMAND_NAME}" "What do you want to do?" "${items[@]}")" || status=$?
    ((status == 0)) || menu::left
    [[ " ${NOUN_ASK_NOTHING} " != *" ${COMMAND_NAME}-${chosen} "* ]] || core::same_in_words "${COMMAND_NAME}-${chosen}"
    exec "${PROJECT_ROOT}/bin/${COMMAND_NAME}-${chosen}"
}

# The commands of this noun, each with the summary in its header. Sets: the array named.
noun::_commands() { # <array-name>
    local -n noun_items="$1"
    local launcher summary
    for launcher in "${PROJECT_ROOT}/bin/${COMMAND_NAME}"-*; do
        # A second name of another command is understood, and not offered.
        [[ ! -L "${launcher}" ]] || continue
        core::summary summary "${launcher##*/}"
        noun_items+=("${launcher##*/"${COMMAND_NAME}"-}" "${summary}")
    done
}

# Leave because there is no such command; names the one that was most likely meant.
noun::_refuse() { # <word> <command> <summary>...
    local word="$1" known=() near
    shift
    while (($# > 0)); do
        known+=("$1")
        shift 2
    done
    near="$(nearest::word "${word}" "${known[@]}")"
    [[ -z "${near}" ]] || core::die "${EXIT_USAGE}" "unknown command '${word}'" "did you mean '${COMMAND_NAME} ${near}'?"
    core::die "${EXIT_USAGE}" "unknown command '${word}'" "run '${COMMAND_NAME} --help' to see its commands"
}
