"""A model at 127.0.0.1 that takes its time: code first, and the answer once the code has run.

    python slow_model.py SECONDS

Says its port on standard output. It speaks just enough of HTTP, so that it costs next to nothing.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress

CODE = "```python\nprint(P[:40])\n```"
ANSWER = "FINAL: read"


def response(text: str) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}}
    usage = {"prompt_tokens": 900, "completion_tokens": 20, "total_tokens": 920}
    body = json.dumps({"choices": [choice | {"finish_reason": "stop"}], "usage": usage}).encode()
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


RESPONSES = (response(CODE), response(ANSWER))


class SlowModel:
    """Answers each request that many seconds after it came."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, request after request."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
                body = await reader.readexactly(length)
                await asyncio.sleep(self._seconds)
                writer.write(RESPONSES[b'"role": "assistant"' in body])
                await writer.drain()
        writer.close()

    async def run(self) -> None:
        """Serve until the process is ended."""
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=1_000)
        sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        async with server:
            await server.serve_forever()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(SlowModel(float(sys.argv[1])).run())
