"""Ctrl-C in a real program, with real calls in flight to a real server."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PROGRAM = """
import sys
from rlm_core import RLM, Context
from rlm_core.adapters import FakeAdapter, OpenAICompatAdapter

root = FakeAdapter(script=["answers = llm_batch(['a', 'b', 'c'])"])
sub = OpenAICompatAdapter(model="m", base_url=sys.argv[1], api_key="k")
try:
    RLM(root, subcall_adapter=sub, cache_dir=sys.argv[2]).run("Q?", Context.from_text("x"))
except KeyboardInterrupt:
    print("interrupted", flush=True)
    sys.exit(130)
"""


class SilentServer(ThreadingHTTPServer):
    """Takes requests, never answers, and counts who came and who hung up."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), SilentHandler)
        self.came = threading.Semaphore(0)
        self.left = threading.Semaphore(0)


class SilentHandler(BaseHTTPRequestHandler):
    """Waits until the client hangs up."""

    server: SilentServer  # ty: ignore[incompatible-mutable-override]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.came.release()
        with suppress(ConnectionError):
            self.connection.recv(1)
        self.close_connection = True
        self.server.left.release()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@contextmanager
def silent_server() -> Generator[SilentServer]:
    server = SilentServer()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_ctrl_c_stops_every_call_in_flight(tmp_path: Path) -> None:
    with silent_server() as server:
        url = f"http://127.0.0.1:{server.server_port}/v1"
        program = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, url, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        try:
            for _ in range(3):
                assert server.came.acquire(timeout=60)
            program.send_signal(signal.SIGINT)
            out, _ = program.communicate(timeout=60)
            for _ in range(3):
                assert server.left.acquire(timeout=60)
        finally:
            program.kill()
            program.wait()
    assert (program.returncode, out) == (130, "interrupted\n")
