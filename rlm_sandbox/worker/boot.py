"""Starts a zygote: run as a script, `python -I -S boot.py SOCKET SETTINGS`.

The environment is built from nothing and the socket is the only open file, so that nothing of the
controller's memory, environment or files is in a worker. With `-S` no .pth file of site-packages
runs; the folders of this package and of msgspec are on the path while they are imported.
"""

from __future__ import annotations

import importlib
import json
import socket
import sys
from typing import NoReturn


def main(descriptor: int, settings: str) -> NoReturn:
    paths = json.loads(settings)["import_paths"]
    standard = len(sys.path)
    sys.path += paths  # last: nothing there can stand in for a module of the standard library
    # msgspec would take it if it were there, needs it for nothing, and it takes 15 ms and 0.5 MB
    sys.modules["typing_extensions"] = None  # ty: ignore[invalid-assignment]
    zygote = importlib.import_module("rlm_sandbox.worker.zygote")
    del sys.modules["typing_extensions"]
    del sys.path[standard:]
    zygote.Zygote(socket.socket(fileno=descriptor), settings).serve()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
