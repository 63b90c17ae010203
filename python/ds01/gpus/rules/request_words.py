"""What GPU options of a command ask for, in words of `docker --gpus`."""

from __future__ import annotations

from ds01.core.errors import Exit, HelperError
from ds01.gpus.rules.request import (
    WAIT_OPTION,
    Request,
    parse_memory,
    parse_request,
    parse_wait,
    to_docker,
)


def requested(gpus: str | None, memory: str | None) -> Request | None:
    """Return what was asked for; None where nothing was said.

    Raises HelperError(USAGE), also where both were given.
    """
    if gpus is not None and memory is not None:
        raise HelperError(
            Exit.USAGE,
            "give '--gpus' or '--gpu-mem', not both",
            f"leave out '--gpus {gpus}' to take the smallest device with '{memory}'",
        )
    if memory is not None:
        return Request("memory", memory=parse_memory(memory))
    return None if gpus is None else parse_request(gpus)


def docker_words(request: Request, wait: str | None) -> str:
    """Return the words for `docker --gpus`.

    `wait` is for how long to wait, empty for ever, None not at all. Raises
    HelperError(USAGE) for what is no duration.
    """
    words = to_docker(request)
    if wait is None or request.kind == "none":
        return words
    parse_wait(wait)
    option = f"{WAIT_OPTION}={wait}"
    if ",options=" in words:
        head, _, options = words.partition(",options=")
        return f'{head},"options={options},{option}"'
    head = words if "=" in words else f"count={words}"
    return f"{head},options={option}"
