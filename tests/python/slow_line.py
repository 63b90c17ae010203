#!/usr/bin/env python3
"""A slow line to a port of this host, so that a registry beside the engine is as far.

Usage: slow_line.py PORT RATE_FILE

Prints the port to connect to. What comes back passes at the bytes a second that stand
in the file, which is read anew all the time; 0 cuts the line.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from pathlib import Path

_lock = threading.Lock()


def hand_on(source: socket.socket, target: socket.socket, rate: Path | None) -> None:
    """Copy what one side says to the other, all connections sharing the rate."""
    with contextlib.suppress(OSError):
        while piece := source.recv(1 << 14):
            if rate is not None:
                with _lock:
                    allowed = int(rate.read_text())
                    if allowed == 0:
                        break
                    time.sleep(len(piece) / allowed)
            target.sendall(piece)
    for side in (source, target):
        with contextlib.suppress(OSError):
            side.shutdown(socket.SHUT_RDWR)


def main() -> None:
    port, rate = int(sys.argv[1]), Path(sys.argv[2])
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        while True:
            near, _ = server.accept()
            try:
                far = socket.create_connection(("127.0.0.1", port))
            except OSError:
                near.close()
                continue
            for ends in ((near, far, None), (far, near, rate)):
                threading.Thread(target=hand_on, args=ends, daemon=True).start()


if __name__ == "__main__":
    main()
