"""Listens with uvicorn, and ends gracefully: SIGTERM or Ctrl-C, what is under way is finished."""

from __future__ import annotations

import asyncio
import signal
import socket
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
    with _listener(settings) as sock:
        asyncio.run(_serve(sock, settings, profiles, keys, listening))


async def _serve(
    sock: socket.socket,
    settings: Settings,
    profiles: Profiles,
    keys: Keys,
    listening: Callable[[str], object],
) -> None:
    service = Service(settings, profiles, keys)
    server = _Server(_config(service), service)
    listening(_address(sock))
    await server.serve(sockets=[sock])


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


class _Server(uvicorn.Server):
    """Ends at the first signal once all is answered, and at the second one at once."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """uvicorn's own raises the signal again at the end, before all is tidied up."""
        loop = asyncio.get_running_loop()
        signals = (signal.SIGINT, signal.SIGTERM)
        for number in signals:
            loop.add_signal_handler(number, self._end)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)

    def _end(self) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True
        self._service.begin_closing()


def _listener(settings: Settings) -> socket.socket:
    family, kind, _, _, address = socket.getaddrinfo(
        settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, kind)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _address(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
