"""What the host does for the code of an episode: the functions that `rlm_core.guest` calls."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import msgspec

from rlm_core.answering import Answering
from rlm_core.fan_out import LIMIT_TEXT, FanOut
from rlm_core.policy import MaxRecursionExceeded, PolicyError
from rlm_core.requests import Request, request_of
from rlm_core.stimuli import Value, value_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from rlm_core.calls import CancelScope
    from rlm_core.fan_out import Result
    from rlm_core.requests import EpisodeRequest
    from rlm_core.stimuli import Finish
    from rlm_core.tree import RunTree


class Subcalls:
    """The host functions of one episode's session. Thread-safe: code may have threads."""

    def __init__(
        self,
        tree: RunTree,
        *,
        level: int,
        parent_id: int | None,
        scope: CancelScope,
        nest: Callable[[EpisodeRequest], Finish],
    ) -> None:
        self._tree = tree
        self._answering = Answering(tree, level=level, parent_id=parent_id, scope=scope, nest=nest)
        self._lock = threading.Lock()
        self._submitted: Value | None = None

    def functions(self) -> dict[str, Callable[..., object]]:
        """What `guest` calls, by the names it knows."""
        return {
            "rlm_query": self.query,
            "rlm_batch": self.batch,
            "rlm_budget": self._tree.ledger.left,
            "rlm_submit": self.submit,
        }

    def here(self) -> dict[str, Callable[..., object]]:
        """The same for functions of the caller, which run in this process."""
        return {"llm_query": self._query_here, "llm_batch": self._batch_here}

    @property
    def answered(self) -> int:
        """Replies of sub-models that the code has got so far, cached ones too."""
        return self._answering.answered

    def take_submitted(self) -> Value | None:
        """The answer that the code gave since the last time this was asked, or None."""
        with self._lock:
            submitted, self._submitted = self._submitted, None
            return submitted

    def submit(self, answer: object, text: object = None) -> None:
        """Host function: the code gives the answer, and how it reads. The last one counts."""
        with self._lock:
            self._submitted = value_of(answer, text if isinstance(text, str) else None)

    def query(self, prompt: object, options: object = None) -> str:
        """Host function: one call. At a limit the text says so; MaxRecursionExceeded is raised."""
        request = self._request(prompt, options)
        try:
            return self._answering.now(request)
        except MaxRecursionExceeded:
            raise
        except PolicyError as error:
            return LIMIT_TEXT.format(error=error)

    def batch(self, prompts: object, options: object = None) -> list[Result]:
        """Host function: many calls at once: {"text"} or {"text", "error", "message"} for each.

        A prompt that failed, or that a limit kept from being asked, has a text that says so and
        the name of the error. With on_error="raise" the first failure is raised instead, and
        nothing more is begun.
        """
        if not isinstance(prompts, list):
            raise TypeError("rlm_batch takes a list of prompts")
        requests = self._grouped([self._request(prompt, options) for prompt in prompts])
        strict = isinstance(options, dict) and options.get("on_error") == "raise"
        most = self._tree.config.subcalls.max_concurrent
        return FanOut(self._answering, most=most, strict=strict).answer(requests)

    def _query_here(self, text: str, **options: object) -> str:
        return self.query(text, options)

    def _batch_here(self, prompts: list[str], **options: object) -> list[str]:
        return [item["text"] for item in self.batch(prompts, options)]

    def _request(self, prompt: object, options: object) -> Request:
        most = self._tree.config.subcalls.max_tokens
        return request_of(prompt, options, level=self._answering.level, max_tokens=most)

    def _grouped(self, requests: list[Request]) -> list[Request]:
        if len(requests) < 2:
            return requests
        group, total = self._tree.recorder.next_group(), len(requests)
        return [
            msgspec.structs.replace(each, group=group, index=index, total=total)
            for index, each in enumerate(requests)
        ]
