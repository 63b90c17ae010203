"""Our mlc's modules, and the only way to them: they lie beside DS01 and know it not.

Our mlc and DS01 agree on what this host is, what a catalog says and what an exported
container is; where AIME's mlc is used, ours still lies beside it.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, BinaryIO

from ds01.core.settings import OUR_MLC

if str(OUR_MLC) not in sys.path:
    sys.path.append(str(OUR_MLC))

from mlc_base import MlcError
from mlc_catalog import CPU, FILE_NAME, Entry, parse, usable
from mlc_host import architecture

if TYPE_CHECKING:
    from mlc_archive import Reader

__all__ = [
    "CPU",
    "FILE_NAME",
    "Entry",
    "MlcError",
    "architecture",
    "archive_reader",
    "parse",
    "usable",
]


def archive_reader(source: BinaryIO) -> Reader:
    """Return a reader of an exported container; raises MlcError for any other file."""
    from mlc_archive import Reader  # noqa: PLC0415 - few read archives

    return Reader(source)
