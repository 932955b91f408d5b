"""The short way: one call of the model with the messages as they are; a few for a typed answer."""

from __future__ import annotations

import asyncio
import json
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING

from rlm_core.adapters.base import Usage
from rlm_core.answer_type import AnswerType
from rlm_core.conversation import tokens_in
from rlm_core.models import model_name
from rlm_core.serve.answer import Answer, Spent, shaped
from rlm_core.serve.problem import NoAnswer
from rlm_core.stimuli import Value
from rlm_core.typed import Mistyped, Typed

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from rlm_core.adapters.base import ModelAdapter, ModelResponse
    from rlm_core.chat_request import Straight
    from rlm_core.serve.plan import Plan

TRIES = 3
"""Replies of the model until one has the form that was asked for."""
_ROLES = {"developer": "system", "tool": "user"}
_FORM = "Reply with {shown}\nReply with the JSON alone: no other words, no code fence."


class StraightJob:
    """One answer of the model itself."""

    def __init__(self, plan: Plan, straight: Straight, threads: Executor) -> None:
        self._plan = plan
        self._threads = threads
        self._messages = _as_any_model_takes_them(straight)
        self._ledger = plan.policy.open()
        self._model = model_name(plan.upstream.root)

    async def answer(self) -> Answer:
        """The answer. Raises Problem, PolicyError, TimeoutError, and what the adapter raises."""
        started = time.monotonic()
        async with asyncio.timeout(self._plan.seconds):
            text, reason = await (self._plain() if self._form is None else self._typed(self._form))
        text, was_longer = shaped(text, self._plan.request.stops, None)
        return Answer(
            text=text,
            finish_reason="length" if was_longer or reason == "length" else "stop",
            spent=self.spent(),
            way="straight",
            seconds=time.monotonic() - started,
        )

    @property
    def _form(self) -> AnswerType | None:
        schema = self._plan.request.schema
        return None if schema is None else AnswerType(schema)

    async def _plain(self) -> tuple[str, object]:
        reply = await self._call()
        return reply.text, (reply.meta or {}).get("finish_reason")

    async def _typed(self, form: AnswerType) -> tuple[str, object]:
        """A reply that has the form; what does not have it is told so, and tries again."""
        self._messages.append({"role": "system", "content": _FORM.format(shown=form.shown)})
        wrong = ""
        for _ in range(TRIES):
            reply = await self._call()
            match form.read(Value(reply.text)):
                case Typed(value):
                    return json.dumps(value, ensure_ascii=False), "stop"
                case Mistyped(error):
                    wrong = error
                    self._messages += [
                        {"role": "assistant", "content": reply.text},
                        {"role": "user", "content": wrong},
                    ]
        raise NoAnswer(f"the model gave no answer of the form that was asked for: {wrong}")

    async def _call(self) -> ModelResponse:
        ledger, profile = self._ledger, self._plan.profile
        most = min(profile.reply_tokens, self._plan.request.most_tokens or profile.reply_tokens)
        ledger.step()
        held = ledger.hold_for_root(tokens_in(self._messages), most, self._model)
        try:
            reply = await asyncio.wrap_future(self._submitted(self._plan.upstream.root, most))
        except asyncio.CancelledError:
            sent = tokens_in(self._messages)  # what was sent may be paid for all the same
            ledger.settle(held, Usage(sent, 0, sent), self._model)
            raise
        except BaseException:
            ledger.give_back(held)
            raise
        ledger.settle(held, reply.usage, reply.model_id or self._model)
        return reply

    def _submitted(self, adapter: ModelAdapter, most: int) -> Future[ModelResponse]:
        """The call in flight: the adapter's own, or one in a thread."""
        temperature = self._plan.request.temperature
        submit: object = getattr(adapter, "submit", None)
        if callable(submit):
            started: object = submit(self._messages, max_tokens=most, temperature=temperature)
            if isinstance(started, Future):
                return started
        call = _Call(adapter, self._messages, most, temperature or 0.0)
        return self._threads.submit(call)

    def spent(self) -> Spent:
        """What it has used up to now."""
        used = self._ledger.used()
        root = Usage(used.prompt_tokens, used.completion_tokens, used.tokens)
        return Spent(root=root, cost=used.cost, steps=used.steps)

    def stop(self) -> None:
        """A call in flight is cancelled with the task that waits for it."""

    def when_done(self, tell: Callable[[], object]) -> None:
        """It has ended when its answer is there, or its task was cancelled."""
        tell()


def _as_any_model_takes_them(straight: Straight) -> list[dict[str, str]]:
    """Without roles that some servers do not know, and without messages that say nothing.

    What tools said is left over from another server: nobody can call one here.
    """
    return [
        {"role": _ROLES.get(each["role"], each["role"]), "content": each["content"]}
        for each in straight.messages
        if each["content"]
    ]


class _Call:
    """A call of a model that cannot be cancelled."""

    def __init__(
        self, adapter: ModelAdapter, messages: list[dict[str, str]], most: int, temperature: float
    ) -> None:
        self._adapter = adapter
        self._messages = messages
        self._most = most
        self._temperature = temperature

    def __call__(self) -> ModelResponse:
        """Make it."""
        return self._adapter.complete(
            self._messages, max_tokens=self._most, temperature=self._temperature
        )
