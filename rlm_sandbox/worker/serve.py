"""The session process: takes the controller's commands one by one and answers each."""

from __future__ import annotations

import random
import signal
import socket
import sys
from typing import NoReturn

from rlm_sandbox import values
from rlm_sandbox.errors import ValueRefused
from rlm_sandbox.protocol import (
    Answer,
    Attend,
    Describe,
    Exec,
    FromWorker,
    Get,
    Install,
    Load,
    Offer,
    Protect,
    Ready,
    Refusal,
    Rehearse,
    Request,
    Save,
    Set,
    Spawn,
)
from rlm_sandbox.worker import checkpoint, modules
from rlm_sandbox.worker.bridge import Bridge
from rlm_sandbox.worker.channel import Channel
from rlm_sandbox.worker.console import Console
from rlm_sandbox.worker.render import cut, describe_names, error_line
from rlm_sandbox.worker.texts import HELD, read_text

_NOTHING = values.encode(None)


def serve(spawn: Spawn, sock: socket.socket) -> NoReturn:
    """Be the session until the controller closes the socket."""
    _reseed()
    channel = Channel(sock)
    limits = spawn.limits
    bridge = Bridge(
        channel, concurrent_calls=limits.concurrent_calls, value_bytes=limits.value_bytes
    )
    console = Console(
        channel,
        bridge,
        functions=spawn.functions,
        imports=spawn.imports,
        output_chars=limits.output_chars,
    )
    console.protect(HELD)
    desk = Desk(console, channel, value_bytes=limits.value_bytes)
    channel.listen_for_interrupts()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # so that a dropped checkpoint leaves no zombie
    channel.send(Ready())
    while True:
        command = bridge.next_command()
        if isinstance(command, Exec):
            channel.send(console.run(command.step, command.code))
        elif isinstance(command, Save):
            woken = checkpoint.save(channel.socket)
            if woken is None:
                console.rehearse()  # while nobody waits: what a step changes is copied now
            else:
                channel.reopen(woken)
                bridge.reopen()
                console.reopen()
                channel.send(Ready())
        elif isinstance(command, Request):
            channel.send(desk.answer(command))


def _reseed() -> None:
    """Give each worker random numbers of its own: libraries seeded themselves in the zygote."""
    random.seed()
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


class Desk:
    """Answers what the controller asks about the session between steps."""

    def __init__(self, console: Console, channel: Channel, *, value_bytes: int) -> None:
        self._console = console
        self._channel = channel
        self._value_bytes = value_bytes

    def answer(self, request: Request) -> FromWorker:
        try:
            return Answer(request.request, self._fulfil(request))
        except _Missing as missing:
            return Refusal(request.request, "missing", str(missing))
        except (ValueRefused, UnicodeError) as refused:
            return Refusal(request.request, "refused", cut(str(refused)))
        except Exception as error:  # noqa: BLE001 - the session's objects may raise anything
            return Refusal(request.request, "failed", error_line(error))

    def _fulfil(self, request: Request) -> bytes:
        console = self._console
        match request:
            case Get(name=name):
                if name not in console.namespace:
                    raise _Missing(f"there is no variable {name!r} in the session")
                return values.encode_capped(console.namespace[name], self._value_bytes)
            case Describe():
                names = describe_names(console.namespace, console.scaffold)
                return values.encode_capped(names, self._value_bytes)
            case Set(name=name, value=value):
                console.namespace[name] = values.decode(value)
                console.scaffold.pop(name, None)
            case Load(request=number, name=name, size=size):
                self._channel.send(Attend(number))
                console.protect({name: read_text(self._channel.receive_descriptor(), size)})
            case Protect(name=name, text=text):
                console.protect({name: text.decode("utf-8", "surrogatepass")})
            case Rehearse():
                console.rehearse()
            case Offer(functions=functions):
                console.offer(functions)
            case Install(source=source, values=given, modules=packed):
                if packed:
                    modules.load(packed)
                decoded = values.decode(given)
                assert isinstance(decoded, dict)
                console.install(source, {str(name): value for name, value in decoded.items()})
        return _NOTHING


class _Missing(Exception):
    """The session holds no variable of that name."""
