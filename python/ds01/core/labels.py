"""The labels by which the engine's objects are known."""

from __future__ import annotations

MLC = "aime.mlc"
MANAGED = "ds01.managed"
# Of a container that was made anew on other GPUs (gpus/allocator/rehome.py), and what
# the one it was made from is called meanwhile.
MOVED_FROM = "ds01.moved.from"
ASIDE = "-moving"
# On the container that looks into an image: the process that it serves.
HELPER = "ds01.build.helper"
HELPER_SECONDS = "900"
