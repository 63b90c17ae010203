"""Who a user is: by UID, names only for display."""

from __future__ import annotations

from ds01.core.errors import Exit, HelperError
from ds01.policy.types import User


def identify_user(who: str | int) -> User:
    """Return the user of a login name or a uid.

    A login name that consists of digits wins over reading it as a uid. A uid without
    an account is a user without groups whose name is the number; should another
    account have that number for its name, the name is `uid:NUMBER`.

    Raises HelperError(NOT_FOUND) for a name that nobody has.
    """
    import grp  # noqa: PLC0415
    import os  # noqa: PLC0415
    import pwd  # noqa: PLC0415

    entry: pwd.struct_passwd | None = None
    uid = who if isinstance(who, int) else -1
    try:
        if isinstance(who, str):
            try:
                entry = pwd.getpwnam(who)
            except KeyError:
                if not (who.isascii() and who.isdigit() and len(who) < 11):
                    raise
                uid = int(who)
        if entry is None and 0 <= uid < 2**32 - 1:
            try:
                entry = pwd.getpwuid(uid)
            except KeyError:
                return User(_number_as_name(uid), uid)
    except (KeyError, ValueError):
        entry = None
    if entry is None:
        raise HelperError(
            Exit.NOT_FOUND,
            f"user '{who}' does not exist on this host",
            f"run 'getent passwd {who}' to see whether the host knows the name"
            if isinstance(who, str) and who.isprintable() and " " not in who
            else None,
        )
    names: list[str] = []
    for gid in os.getgrouplist(entry.pw_name, entry.pw_gid):
        try:
            names.append(grp.getgrgid(gid).gr_name)
        except KeyError:
            continue
    return User(entry.pw_name, entry.pw_uid, tuple(names))


def _number_as_name(uid: int) -> str:
    import pwd  # noqa: PLC0415

    try:
        pwd.getpwnam(str(uid))
    except KeyError:
        return str(uid)
    return f"uid:{uid}"
