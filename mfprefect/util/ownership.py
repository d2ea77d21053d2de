"""Who else can write a file: the rules of ssh and git for files that decide what a program does."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from pathlib import Path

__all__ = ["other_writers"]


def other_writers(path: Path) -> str | None:
    """Say who besides this user and root could have written a file or folder; None: nobody.

    A group with no other member counts as the user's own, as ssh has it.

    Raises:
        OSError: the path cannot be read.
    """
    # A link and what it points to may have different owners.
    for status in (path.lstat(), path.stat()):
        if status.st_uid not in (os.geteuid(), 0):
            return f"belongs to the user {_user_name(status.st_uid)}"
    if status.st_mode & stat.S_IWOTH:
        return "can be written by everybody"
    if status.st_mode & stat.S_IWGRP and not _is_private(status.st_gid, status.st_uid):
        return f"can be written by the group {_group_name(status.st_gid)}"
    return None


def _is_private(group_id: int, user_id: int) -> bool:
    """Say whether a group has no member but this user (and root)."""
    if group_id == 0:  # root's
        return True
    try:
        members = set(grp.getgrgid(group_id).gr_mem)
    except KeyError:
        return group_id == os.getegid()  # a container's user without entries
    members |= {user.pw_name for user in pwd.getpwall() if user.pw_gid == group_id}
    return members <= {_user_name(user_id), _user_name(os.geteuid()), "root"}


def _user_name(user_id: int) -> str:
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return f"with the number {user_id}"


def _group_name(group_id: int) -> str:
    try:
        return grp.getgrgid(group_id).gr_name
    except KeyError:
        return f"with the number {group_id}"
