"""A model's server that takes 50 ms for every reply; `python slow_model.py` prints its port."""

from __future__ import annotations

import asyncio
import json

SECONDS = 0.050
ASKED_OF_SUB = "who built it?"
CODE = f"```python\nhits = ctx.find('Ann')\nsaid = llm_query('{ASKED_OF_SUB}')\n```"


def reply_to(body: bytes) -> str:
    """The first step of a run, its sub-model's answer, its last step, or a short answer."""
    if f'"content": "{ASKED_OF_SUB}"'.encode() in body:
        return "Ann."
    if f"llm_query('{ASKED_OF_SUB}')".encode() in body:
        return "FINAL_VAR: said"
    return CODE if b"FINAL_VAR" in body else "Ann."


class Model(asyncio.Protocol):
    """One connection, without any framework: the floor is to cost as little as can be."""

    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        if len(body) >= length:
            self._received = body[length:]
            asyncio.get_running_loop().call_later(SECONDS, self._reply, body[:length])

    def _reply(self, body: bytes) -> None:
        choice = {"message": {"content": reply_to(body)}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        payload = json.dumps({"choices": [choice], "usage": usage}).encode()
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(payload)}"
        )
        assert isinstance(self._transport, asyncio.WriteTransport)
        self._transport.write(head.encode() + b"\r\n\r\n" + payload)


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Model, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
