"""mlc update-sys: git pull of mlc's own checkout."""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

import mlc_ask as ask
from mlc_base import MlcError

HERE = Path(__file__).resolve().parent


def git(*words: str) -> str:
    """Run git in mlc's folder; return its stdout or raise its reason."""
    try:
        done = subprocess.run(
            ["git", "-C", str(HERE), *words],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        raise MlcError("the program 'git' is not on the PATH") from None
    if done.returncode != 0:
        reason = " ".join(done.stderr.split()) or "git gave no reason"
        raise MlcError(f"git {words[0]} failed: {reason}")
    return done.stdout.strip()


def update(words: argparse.Namespace) -> int:
    """Run `mlc update-sys`. Force gives up local changes, after a question."""
    # A checkout that only contains mlc is somebody else's, and not pulled.
    if not (HERE / ".git").exists():
        raise MlcError(
            f"'{HERE}' is no git checkout: there is nothing to pull",
            "update it the way it was installed",
        )
    before = git("rev-parse", "HEAD")
    changes = git("status", "--porcelain", "--untracked-files=no")
    if words.force:
        git("fetch")
        if changes and not ask.confirm(f"Give up these changes?\n{changes}\n"):
            raise MlcError("nothing was changed")
        git("reset", "--hard", "@{upstream}")
    else:
        if changes:
            raise MlcError(
                "the checkout has local changes: "
                + ", ".join(line.split(maxsplit=1)[1] for line in changes.splitlines()),
                "mlc update-sys -f gives them up",
            )
        git("pull", "--ff-only")
    after = git("rev-parse", "HEAD")
    if before == after:
        print("mlc is up to date")
    else:
        print(f"mlc is updated: {before[:10]} to {after[:10]}")
    return 0
