"""An answer as OpenAI's API says it: one object, or a stream of chunks."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rlm_core.adapters.base import Usage
    from rlm_core.serve.answer import Answer, Spent
    from rlm_core.serve.problem import Problem

DELTA_CHARS = 1_000
"""Characters of an answer in one piece of a stream."""
DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True)
class Envelope:
    """What every reply to one request says of it."""

    request_id: str
    model: str
    """The name that the request used."""
    created: int

    @classmethod
    def of(cls, request_id: str, model: str) -> Envelope:
        """An envelope of this second."""
        return cls(request_id, model, int(time.time()))

    def whole(self, answer: Answer) -> dict[str, Any]:
        """The reply in one object."""
        message = {"role": "assistant", "content": answer.text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None}
        return {
            **self._head("chat.completion"),
            "choices": [{**choice, "finish_reason": answer.finish_reason}],
            "usage": usage_of(answer.spent),
            "rlm": facts_of(answer),
        }

    def chunks(self, answer: Answer, *, tells_usage: bool) -> Iterator[dict[str, Any]]:
        """The reply in pieces; the last one is its usage, if that was asked for."""
        yield self._chunk({"role": "assistant", "content": ""}, tells_usage=tells_usage)
        for start in range(0, len(answer.text), DELTA_CHARS):
            piece = answer.text[start : start + DELTA_CHARS]
            yield self._chunk({"content": piece}, tells_usage=tells_usage)
        yield self._chunk({}, finish_reason=answer.finish_reason, tells_usage=tells_usage) | {
            "rlm": facts_of(answer)
        }
        if tells_usage:
            head = self._head("chat.completion.chunk")
            yield {**head, "choices": [], "usage": usage_of(answer.spent)}

    def _chunk(
        self, delta: dict[str, str], *, tells_usage: bool, finish_reason: str | None = None
    ) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        chunk = {**self._head("chat.completion.chunk"), "choices": [choice]}
        return {**chunk, "usage": None} if tells_usage else chunk

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{self.request_id}",
            "object": kind,
            "created": self.created,
            "model": self.model,
        }


def usage_of(spent: Spent) -> dict[str, Any]:
    """Tokens of the whole tree, and what of it was the root model's and the sub-models'."""
    parts = {"root": _counts(spent.root), "sub": _counts(spent.sub)}
    more = {"steps": spent.steps, "subcalls": spent.subcalls, "cost": spent.cost}
    return {**_counts(spent.total), "rlm": {**parts, **more}}


def facts_of(answer: Answer) -> dict[str, Any]:
    """How the answer came about."""
    return {
        "way": answer.way,
        "ending": answer.ending,
        "isolation": answer.isolation,
        "seconds": round(answer.seconds, 3),
    }


def event(data: dict[str, Any]) -> bytes:
    """One server-sent event."""
    return b"data: " + msgspec.json.encode(data) + b"\n\n"


def comment(text: str) -> bytes:
    """A line that clients pass over; it shows that the server is at work."""
    line = " ".join(text.split())
    return b": " + line.encode(errors="replace") + b"\n\n"


def failure(problem: Problem) -> bytes:
    """What ends a stream that has no answer."""
    return event(problem.body())


def _counts(usage: Usage) -> dict[str, int]:
    return asdict(usage)
