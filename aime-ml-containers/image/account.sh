#!/bin/sh
# Runs while a prepared image is built: writes one person's account into it.
#
# Usage: account.sh NAME UID GID GROUP HOME FORMER
#
# FORMER is the uid of an account that this one replaces, or `-`. An entry that has the
# uid or the name already is taken over, unless the name is a system account's: then
# the name is uUID. A group that has the gid stays as it is. Lines are written rather
# than with useradd, which refuses names with `.` or `@` or of 40 characters.
set -eu
umask 022
name=$1 uid=$2 gid=$3 group=$4 home=$5 former=$6
newline='
'

in_use() { # <name> <gid>: print "name" and "gid" where they are in use
    while IFS=: read -r one _ id _ || [ -n "${one}" ]; do
        if [ "${one}" = "$1" ]; then echo name; fi
        if [ "${id}" = "$2" ]; then echo gid; fi
    done < /etc/group
}
add_group() { # <name> <gid>
    # The file's last line may lack its newline.
    if [ -n "$(tail -c 1 /etc/group)" ]; then echo >> /etc/group; fi
    printf '%s:x:%s:\n' "$1" "$2" >> /etc/group
    if [ -e /etc/gshadow ]; then printf '%s:!::\n' "$1" >> /etc/gshadow; fi
}
owner() { chown "$@" "+${uid}:+${gid}" "${home}" 2> /dev/null || chown "$@" "${uid}:${gid}" "${home}"; }

for one in video sudo; do
    id=999
    case "$(in_use "${one}" -)" in
        *name*) continue ;;
        *) ;;
    esac
    while [ -n "$(in_use '' "${id}")" ]; do id=$((id - 1)); done
    add_group "${one}" "${id}"
done

if [ "${uid}" != 0 ]; then
    while IFS=: read -r one _ id _ || [ -n "${one}" ]; do
        case ${id} in
            *[!0-9]* | '') continue ;;
            *) ;;
        esac
        if [ "${one}" = "${name}" ] && [ "${id}" -lt 1000 ] && [ "${id}" != "${uid}" ]; then
            name=u${uid}
        fi
    done < /etc/passwd

    case "$(in_use "${group}" "${gid}")" in
        *gid*) ;;
        *name*)
            if [ -n "$(in_use "${name}" -)" ]; then group=g${gid}; else group=${name}; fi
            add_group "${group}" "${gid}"
            ;;
        *) add_group "${group}" "${gid}" ;;
    esac

    kept='' gone=${newline}${name}${newline}
    while IFS= read -r line || [ -n "${line}" ]; do
        one=${line%%:*}
        rest=${line#*:*:}
        id=${rest%%:*}
        if [ "${one}" = "${name}" ] || [ "${id}" = "${uid}" ] || [ "${id}" = "${former}" ]; then
            gone=${gone}${one}${newline}
        else
            kept=${kept}${line}${newline}
        fi
    done < /etc/passwd
    shell=/bin/sh
    if [ -x /bin/bash ]; then shell=/bin/bash; fi
    printf '%s%s:x:%s:%s::%s:%s\n' \
        "${kept}" "${name}" "${uid}" "${gid}" "${home}" "${shell}" > /etc/passwd

    kept=''
    if [ -e /etc/shadow ]; then
        while IFS= read -r line || [ -n "${line}" ]; do
            case ${gone} in
                *"${newline}${line%%:*}${newline}"*) ;;
                *) kept=${kept}${line}${newline} ;;
            esac
        done < /etc/shadow
    else
        : > /etc/shadow
        chmod 600 /etc/shadow
    fi
    printf '%s%s:*:::::::\n' "${kept}" "${name}" > /etc/shadow

    mkdir -p /etc/sudoers.d
    if [ "${former}" != - ]; then rm -f "/etc/sudoers.d/mlc-${former}"; fi
    printf '#%s ALL=(ALL:ALL) NOPASSWD: ALL\n' "${uid}" > "/etc/sudoers.d/mlc-${uid}"
    chmod 440 "/etc/sudoers.d/mlc-${uid}"

    if [ ! -d "${home}" ]; then
        mkdir -p "${home}"
        if [ -d /etc/skel ]; then cp -R /etc/skel/. "${home}/"; fi
        owner -R
    else
        # ls -nd is in POSIX, stat is not; its third word is the owner's id.
        # shellcheck disable=SC2012,SC2046
        set -- $(ls -nd "${home}")
        if [ "$3" != "${uid}" ]; then owner -R; else owner; fi
    fi
fi

rc=${home}/.bashrc
case "$(cat "${rc}" 2> /dev/null || :)" in
    *MLC_NAME*) ;;
    *)
        cat >> "${rc}" << 'END'

# From mlc: programs installed with pip --user, and the prompt [NAME] user@host:dir$
PATH=$HOME/.local/bin:$PATH
if [ -n "${MLC_NAME-}" ]; then PS1='[${MLC_NAME}] \u@\h:\w\$ '; fi
END
        if [ "${uid}" != 0 ]; then
            home=${rc}
            owner
        fi
        ;;
esac
