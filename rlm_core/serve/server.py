"""Listens with uvicorn, and ends gracefully: SIGTERM or Ctrl-C, what is under way is finished."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from rlm_core.serve.app import make_app
from rlm_core.serve.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from rlm_core.serve.keys import Keys
    from rlm_core.serve.profile import Profiles
    from rlm_core.serve.settings import Settings

KEEP_ALIVE_SECONDS = 75
MOST_HEADER_BYTES = 32 * 1024
BACKLOG = 1_024


def serve(
    settings: Settings, profiles: Profiles, keys: Keys, listening: Callable[[str], object]
) -> None:
    """Serve until the process is told to end. `listening` is told the address.

    Raises OSError where the address cannot be listened at, and ConfigError for a profile.
    """
    with listener(settings) as sock:
        asyncio.run(_serve(sock, Service(settings, profiles, keys), listening))


async def _serve(sock: socket.socket, service: Service, listening: Callable[[str], object]) -> None:
    listening(address_of(sock))
    try:
        await Server(service).serve(sockets=[sock])
    finally:  # uvicorn leaves the end of the application out when it is told to end now
        await service.close()


def _config(service: Service) -> uvicorn.Config:
    return uvicorn.Config(
        make_app(service),
        log_config=None,
        access_log=False,
        lifespan="on",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(service.settings.grace_seconds),
        h11_max_incomplete_event_size=MOST_HEADER_BYTES,
        server_header=False,
        date_header=True,
        ws="none",
        proxy_headers=False,
    )


class Server(uvicorn.Server):
    """Ends at the first signal once all is answered, and at the second one at once."""

    def __init__(self, service: Service) -> None:
        super().__init__(_config(service))
        self._service = service

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """uvicorn's own raises the signal again at the end, before all is tidied up."""
        if threading.current_thread() is not threading.main_thread():
            yield  # who runs a server beside something else ends it by `end`
            return
        loop = asyncio.get_running_loop()
        signals = (signal.SIGINT, signal.SIGTERM)
        for number in signals:
            loop.add_signal_handler(number, self.end)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)

    def end(self) -> None:
        """Finish what is under way and end; at the second time, end now."""
        if self.should_exit:
            self.force_exit = True
            for task in self.server_state.tasks:  # since Python 3.12 uvicorn waits for them
                task.cancel()
        self.should_exit = True
        self._service.begin_closing()


def listener(settings: Settings) -> socket.socket:
    """A socket that listens. Raises OSError where the address cannot be had."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    # with its protocol named, asyncio sets TCP_NODELAY: without it each answer waits for 40 ms
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def address_of(sock: socket.socket) -> str:
    """What a socket listens at, as the beginning of a URL."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
