# DS01's login notice: own containers, GPUs held, what comes next; nothing when there is nothing.
# Read by sh, bash, dash and zsh at login. DS01_LOGIN_NOTICE=off or ~/.config/ds01/no-login-notice turns it off.
# shellcheck shell=sh
case $- in
    *i*)
        # In a subshell, so that nothing of it stays, and no setting of the shell's makes it matter.
        if [ "${DS01_LOGIN_NOTICE:-on}" != off ] && [ -z "${TMUX:-}${STY:-}" ] && [ -r "/opt/ds01/lib/login-notice" ]; then
            # shellcheck source=/dev/null
            (. "/opt/ds01/lib/login-notice") 2> /dev/null || :
        fi
        ;;
    *) ;;
esac
