from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from rlm_core.serve.settings import Settings
from tests.rlm_core.adapters.chat_server import ChatServer, Hang
from tests.rlm_core.serve.serving import LONG, SECONDS, Serving, asked_of, model_that
from tests.rlm_core.serve.test_service import waited_for

pytest.importorskip("uvicorn", reason="rlm serve needs uvicorn: pip install --group test")


def test_what_is_under_way_is_finished_and_what_waits_is_turned_away() -> None:
    answering = threading.Event()

    def slow(_: str) -> str:
        assert answering.wait(SECONDS)
        return "FINAL: done"

    with (
        model_that(slow) as model,
        ThreadPoolExecutor(2) as clients,
        Serving(model, turns=1) as serving,
    ):
        running = clients.submit(serving.post, asked_of(LONG))
        waited_for(serving, 'rlm_running{lane="recursive"}', 1)
        waiting = clients.submit(serving.post, asked_of(LONG))
        waited_for(serving, 'rlm_queued{lane="recursive"}', 1)
        serving.service.closing = True
        late = serving.post(asked_of(LONG))
        serving.end()
        turned_away = waiting.result()
        answering.set()
        answer = running.result()
    assert answer.json()["choices"][0]["message"]["content"] == "done"
    assert (turned_away.status_code, late.status_code) == (503, 503)
    assert turned_away.json()["error"]["code"] == "shutting_down"


def test_what_does_not_end_within_the_grace_is_stopped() -> None:
    with ChatServer(Hang()) as model, ThreadPoolExecutor(1) as clients:
        with Serving(model, grace_seconds=1) as serving:
            running = clients.submit(_posted, serving)
            waited_for(serving, 'rlm_running{lane="recursive"}', 1)
        assert running.result() in {503, None}
        assert model.client_gone.wait(SECONDS)


def _posted(serving: Serving) -> int | None:
    try:
        return serving.post(asked_of(LONG)).status_code
    except httpx.TransportError:
        return None


def test_a_free_port_is_found_and_told() -> None:
    from rlm_core.serve.server import address_of, listener

    with listener(Settings(port=0)) as sock:
        port = sock.getsockname()[1]
        assert address_of(sock) == f"http://127.0.0.1:{port}"
        with pytest.raises(OSError, match=r"in use|Address"):
            listener(Settings(port=port))


def test_half_a_request_keeps_nobody_else_waiting() -> None:
    def answers(_: str) -> str:
        return "FINAL: done"

    with model_that(answers) as model, Serving(model) as serving:
        host, port = serving.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as slow:
            slow.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nContent-Le")
            assert serving.post(asked_of(LONG)).status_code == 200
