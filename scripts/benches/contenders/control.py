"""The simplest thing that could work: a plain `python -I -S` that executes what it is sent.

It keeps nothing from anybody. bubblewrap puts namespaces around the same child.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
from typing import Any

from scripts.benches.contenders.sessions import Work, give_back

HEAD = struct.Struct("=I")

CHILD = """\
import io, json, socket, struct, sys
from contextlib import redirect_stdout
sock = socket.socket(fileno=int(sys.argv[1]))
stream = sock.makefile("rb")
def send(message):
    data = json.dumps(message).encode()
    sock.sendall(struct.pack("=I", len(data)) + data)
def receive():
    head = stream.read(4)
    if not head: sys.exit()
    return json.loads(stream.read(struct.unpack("=I", head)[0]))
def f(value):
    send({"call": value})
    return receive()
names = {"f": f}
while True:
    message = receive()
    if "text" in message:
        names[message["name"]] = message["text"]
        send({"said": ""})
        continue
    said = io.StringIO()
    try:
        with redirect_stdout(said):
            exec(compile(message["code"], "<cell>", "exec"), names)
        send({"said": said.getvalue()})
    except Exception as error:
        send({"failed": repr(error)})
"""


class Plain:
    """A session in a child, over a socketpair."""

    wrapping: tuple[str, ...] = ()
    """What the child is started by."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        self._stream = self._socket.makefile("rb")
        theirs.set_inheritable(True)
        command = [*self.wrapping, sys.executable, "-I", "-S", "-c", CHILD, str(theirs.fileno())]
        self._process = os.posix_spawn(command[0], command, {})
        theirs.close()

    def run(self, code: str) -> str:
        """Callbacks are answered on the way."""
        self._send({"code": code})
        while True:
            message = self._receive()
            if "failed" in message:
                raise RuntimeError(message["failed"])
            if "said" in message:
                return message["said"]
            self._send(give_back(message["call"]))

    def give(self, name: str, text: str) -> None:
        self._send({"name": name, "text": text})
        self._receive()

    def _send(self, message: object) -> None:
        data = json.dumps(message).encode()
        self._socket.sendall(HEAD.pack(len(data)) + data)

    def _receive(self) -> Any:
        return json.loads(self._stream.read(HEAD.unpack(self._stream.read(HEAD.size))[0]))

    def close(self) -> None:
        self._stream.close()
        self._socket.close()
        os.waitpid(self._process, 0)


TASKS = Work(Plain, None).tasks("spare")
