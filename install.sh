#!/usr/bin/env bash
# Summary: Install, upgrade or remove DS01
#
# Usage: install.sh [options]
#
# Installs this copy of DS01 with the Debian packages and Python packages it needs, and
# starts a Docker engine where none answers. Configuration that is there already is never
# overwritten. Run again, it changes only what differs; from a newer copy, it upgrades;
# the installed copy itself puts links, folders and the system's files right.
#
# Options:
#       --prefix DIR      where the program goes (default: /opt/ds01)
#       --bin-dir DIR     where links to the commands go (default: /usr/local/bin)
#       --config-dir DIR  where the configuration goes (default: /etc/ds01)
#       --state-dir DIR   where the records go (default: /var/lib/ds01)
#       --log-dir DIR     where the logs go (default: /var/log/ds01)
#       --system-dir DIR  where crontab, log rotation and login notice go, below cron.d,
#                         logrotate.d, profile.d (default: /etc; none with --no-system)
#       --user            install for yourself, without root, in your XDG folders; implies
#                         --no-system
#       --no-system       install no Debian packages, start no engine, and leave out what
#                         goes into the system's folders
#       --demo            then make a real container, read its limits back, and remove it
#       --uninstall       remove the program; configuration and records stay
#       --purge           with --uninstall: remove configuration and records too
#   -n, --dry-run         print what would be done and change nothing
#   -q, --quiet           say only what went wrong
#   -h, --help            show this text
#
# Examples:
#   sudo ./install.sh --demo
#   ./install.sh --user
#   sudo /opt/ds01/install.sh --uninstall
if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 404)); then
    printf 'install.sh: error: bash 4.4 or newer is required\n' >&2
    exit 7
fi
set -euo pipefail
shopt -s inherit_errexit
umask 022
PROJECT_ROOT="$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")"
readonly PROJECT_ROOT COMMAND_NAME=install.sh
export COMMAND_NAME
# shellcheck source=lib/core.bash
source "${PROJECT_ROOT}/lib/core.bash"
# shellcheck source=lib/nearest.bash
source "${PROJECT_ROOT}/lib/nearest.bash"
# shellcheck source=lib/options.bash
source "${PROJECT_ROOT}/lib/options.bash"
# shellcheck source=lib/docker.bash
source "${PROJECT_ROOT}/lib/docker.bash"
# shellcheck source=lib/install/layout.bash
source "${PROJECT_ROOT}/lib/install/layout.bash"
# shellcheck source=lib/install/system.bash
source "${PROJECT_ROOT}/lib/install/system.bash"
# shellcheck source=lib/install/program.bash
source "${PROJECT_ROOT}/lib/install/program.bash"
# shellcheck source=lib/install/share.bash
source "${PROJECT_ROOT}/lib/install/share.bash"
# shellcheck source=lib/install/parts.bash
source "${PROJECT_ROOT}/lib/install/parts.bash"
# shellcheck source=lib/install/remove.bash
source "${PROJECT_ROOT}/lib/install/remove.bash"
# shellcheck source=lib/install/demo.bash
source "${PROJECT_ROOT}/lib/install/demo.bash"

main() {
    local key
    options::parse "$@"
    for key in prefix bin_dir config_dir state_dir log_dir system_dir; do
        [[ -z "${OPTIONS[${key}]}" ]] || LAYOUT["${key%_dir}"]="$(readlink -m -- "${OPTIONS[${key}]}")"
    done
    INSTALL_USER="${OPTIONS[user]}" INSTALL_DRY_RUN="${OPTIONS[dry_run]}"
    [[ -z "${OPTIONS[no_system]}" ]] || INSTALL_SYSTEM=''
    [[ -z "${OPTIONS[purge]}" || -n "${OPTIONS[uninstall]}" ]] || core::usage_error "'--purge' goes with '--uninstall'"
    [[ -z "${OPTIONS[demo]}" || -z "${OPTIONS[uninstall]}" ]] || core::usage_error "'--demo' does not go with '--uninstall'"

    core::make_temp
    layout::complete
    if [[ -n "${OPTIONS[uninstall]}" ]]; then
        layout::check_rights
        remove::all "${OPTIONS[purge]}"
    elif [[ -z "${OPTIONS[demo]}" || ! "${PROJECT_ROOT}" -ef "${LAYOUT[prefix]}" ]]; then
        layout::check
        if [[ ! "${PROJECT_ROOT}" -ef "${LAYOUT[prefix]}" ]]; then
            system::install_packages
            system::start_engine
            parts::remember
            program::install
        fi
        program::link
        share::link
        program::configure
        program::make_folders
        parts::install
        install::close
    fi
    [[ -z "${OPTIONS[demo]}" || -n "${INSTALL_DRY_RUN}" ]] || demo::run
}

# Say how it ended and what comes next.
install::close() {
    local nothing=''
    ((INSTALL_CHANGES > 0)) || nothing='nothing to do'
    if [[ -n "${INSTALL_DRY_RUN}" ]]; then
        [[ -z "${nothing}" ]] || printf '%s\n' "${nothing}"
        return 0
    fi
    core::info "${nothing:+${nothing}: }DS01 $(< "${LAYOUT[prefix]}/VERSION") is installed in '${LAYOUT[prefix]}'"
    [[ -z "${CORE_QUIET}" ]] || return 0
    case ":${PATH}:" in
        *":${LAYOUT[bin]}:"*) core::hint "run 'container --help' to see the commands" ;;
        *) core::hint "add '${LAYOUT[bin]}' to your PATH, then run 'container --help'" ;;
    esac
    install::hint_zsh
}

# zsh looks for completion in the system's folders only, unless it is told to.
install::hint_zsh() {
    local folder="${LAYOUT[bin]%/bin}/share/zsh/site-functions"
    [[ "${SHELL:-}" == */zsh && -d "${folder}" && "${folder}" != /usr/local/share/* && "${folder}" != /usr/share/* ]] || return 0
    core::hint "for completion in zsh, put 'fpath=(${folder@Q} \$fpath)' before 'compinit' in ~/.zshrc"
}

main "$@"
exit
