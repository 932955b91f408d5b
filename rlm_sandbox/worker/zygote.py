"""The process from which workers are forked: a clean interpreter with their imports done.

Run as a script, `python -I -S zygote.py SOCKET PATH...`, with an empty environment and no open
file but the socket, so that nothing of the controller's memory, environment or files is in a
worker. The PATHs are where this package and msgspec lie; with `-S` no .pth file of theirs runs.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import socket
import sys
from typing import NoReturn

PRELOADED = (
    *("ast", "bisect", "collections", "copy", "dataclasses", "datetime", "decimal", "enum"),
    *("functools", "heapq", "itertools", "json", "math", "mmap", "operator", "pprint", "random"),
    *("re", "statistics", "string", "textwrap", "threading", "time", "traceback", "typing"),
    *("linecache", "select", "resource", "ctypes", "contextlib", "io", "signal"),
)
"""What a worker finds imported; anything else it imports itself."""

REQUEST_BYTES = 1024 * 1024


def main(descriptor: int, paths: list[str]) -> NoReturn:
    sys.path[:0] = paths
    for name in ("msgspec", "rlm_sandbox.worker.init", *PRELOADED):
        importlib.import_module(name)
    del sys.path[: len(paths)]
    # What the code of a session finds in os.environ; it was needed to start the interpreter only.
    os.environ.clear()
    gc.collect()
    gc.freeze()  # so that a collection in a worker does not copy pages shared with the zygote
    serve(socket.socket(fileno=descriptor))


def serve(requests: socket.socket) -> NoReturn:
    """Fork a worker for every request until the controller hangs up. Children are reaped."""
    from rlm_sandbox.protocol import Failed, decode_for_zygote, encode
    from rlm_sandbox.worker import init

    signal.signal(signal.SIGCHLD, _reap)
    requests.send(b"ready")
    while True:
        data, descriptors, _, _ = socket.recv_fds(requests, REQUEST_BYTES, 2)
        if not data:
            os._exit(0)
        sockets = [socket.socket(fileno=number) for number in descriptors]
        if len(sockets) == 2:  # fewer: out of descriptors; the controller sees both hang up
            try:
                pid = os.fork()
            except OSError as error:
                sockets[0].send(encode(Failed(f"fork: {error}")))
            else:
                if pid == 0:
                    requests.close()
                    init.run(decode_for_zygote(data), *sockets)
        for sock in sockets:
            sock.close()


def _reap(_signal: int, _frame: object) -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
