"""Many requests answered at once, from one thread: it begins calls, and ends them as they land.

Only the waiting for models is done in other threads, one for each call that is under way. They may
be left to themselves: what comes back after a call was given up is not looked at.
"""

from __future__ import annotations

from contextlib import suppress
from queue import SimpleQueue
from typing import TYPE_CHECKING

from rlm_core.adapters.base import ModelResponse
from rlm_core.calls import THREADS
from rlm_core.errors import RunCancelled, StepCancelled
from rlm_core.policy import MaxRecursionExceeded, PolicyError

if TYPE_CHECKING:
    from rlm_core.answering import Answering, Asked, Flight
    from rlm_core.requests import Request

LIMIT_TEXT = (
    "[SUBCALL_LIMIT] {error}. You have used all available sub-LLM calls. Build your final answer "
    "now using the information you already have."
)
ERROR_TEXT = "[ERROR] {kind}: {error}"

Result = dict[str, str]
"""{"text"}, with {"error", "message"} for a prompt that was not answered."""
Landing = tuple[int, ModelResponse | str | BaseException]
"""The number of a request and what became of it: a reply, an episode's answer, or a failure."""


class FanOut:
    """Answers a batch, `most` requests at once.

    With `strict` the first failure is raised, once nothing is under way any more; without, a
    failure is a result, except for one that ends them all.
    """

    def __init__(self, answering: Answering, *, most: int, strict: bool) -> None:
        self._answering = answering
        self._most = most
        self._strict = strict
        self._landings: SimpleQueue[Landing] = SimpleQueue()
        self._under_way: dict[int, _Call | _Episode] = {}
        self._results: dict[int, Result] = {}
        self._failure: BaseException | None = None

    def answer(self, requests: list[Request]) -> list[Result]:
        """The results, in the order of the requests. Raises the failure that ended the batch."""
        try:
            for number, request in enumerate(requests):
                self._make_room()
                if self._failure is not None:
                    break
                self._begin(number, request)
            while self._under_way:
                self._land()
        except BaseException as error:  # Ctrl-C: nothing may stay held for what is under way
            for each in self._under_way.values():
                with suppress(Exception):  # a listener's: what was raised first is raised
                    each.failed(error)
            raise
        if self._failure is not None:
            raise self._failure
        return [self._results[number] for number in range(len(requests))]

    def _make_room(self) -> None:
        while len(self._under_way) >= self._most:
            self._land()

    def _begin(self, number: int, request: Request) -> None:
        try:
            asked = self._answering.ask(request)
            known = self._answering.known(asked)
            if known is not None:
                self._results[number] = {"text": known}
            elif asked.recursive:
                self._start(_Episode(self._answering, self._landings, number, asked))
            else:
                flight = self._take_off(asked)
                self._start(_Call(self._answering, self._landings, number, flight))
        except Exception as error:  # noqa: BLE001 - of this request, and perhaps of all
            self._fail(number, error)

    def _take_off(self, asked: Asked) -> Flight:
        """Begin a call. While its budget is held by calls of this batch, end those first."""
        while self._under_way:
            flight = self._answering.take_off_if_it_fits(asked)
            if flight is not None:
                return flight
            self._land()
            if self._failure is not None:  # nothing more is begun
                raise self._failure
        return self._answering.take_off(asked)

    def _start(self, each: _Call | _Episode) -> None:
        each.begin()
        self._under_way[each.number] = each
        try:
            THREADS.start(each)
        except BaseException as error:  # there are no threads left
            del self._under_way[each.number]
            each.failed(error)
            raise

    def _land(self) -> None:
        """Wait until something comes back, and end it."""
        number, outcome = self._landings.get()
        each = self._under_way.pop(number, None)
        if each is None:  # it was given up before
            return
        try:
            if isinstance(outcome, BaseException):
                self._fail(number, each.failed(outcome))
            else:
                self._results[number] = {"text": each.landed(outcome)}
        except Exception as error:  # noqa: BLE001 - a listener's, for example
            self._fail(number, error)

    def _fail(self, number: int, error: BaseException) -> None:
        match error:
            case StepCancelled() if not self._strict:
                text = ERROR_TEXT.format(kind="StepCancelled", error=error)
            case RunCancelled() | MaxRecursionExceeded():
                self._failure = self._failure or error
                return
            case PolicyError() if not self._strict:
                text = LIMIT_TEXT.format(error=error)
            case Exception() if not self._strict:
                text = ERROR_TEXT.format(kind=type(error).__name__, error=error)
            case _:
                self._failure = self._failure or error
                return
        self._results[number] = {
            "text": text,
            "error": type(error).__name__,
            "message": str(error),
        }


class _Call:
    """A call that is under way, to be made in another thread."""

    def __init__(
        self, answering: Answering, landings: SimpleQueue[Landing], number: int, flight: Flight
    ) -> None:
        self._answering = answering
        self._landings = landings
        self.number = number
        self._flight = flight

    def begin(self) -> None:
        """From now on it comes back at once when it is stopped. Raises if it has been."""
        try:
            self._flight.running.scope.enter(self._stopped)
        except RunCancelled as error:
            raise self._answering.failed(self._flight, error) from error

    def __call__(self) -> None:
        """Make the call, in a thread that may be left to itself."""
        try:
            reply = self._answering.call(self._flight, here=True)
        except BaseException as error:  # noqa: BLE001 - raised where the batch is waited for
            self._landings.put((self.number, error))
        else:
            self._landings.put((self.number, reply))

    def landed(self, reply: ModelResponse | str) -> str:
        """End it with its reply."""
        assert isinstance(reply, ModelResponse)
        self._flight.running.scope.leave(self._stopped)
        return self._answering.landed(self._flight, reply)

    def failed(self, error: BaseException) -> BaseException:
        """End it; returns what the code is told."""
        self._flight.running.scope.leave(self._stopped)
        return self._answering.failed(self._flight, error)

    def _stopped(self) -> None:
        self._landings.put((self.number, RunCancelled("the call was cancelled")))


class _Episode:
    """An episode that is under way; it ends by itself when it is stopped."""

    def __init__(
        self, answering: Answering, landings: SimpleQueue[Landing], number: int, asked: Asked
    ) -> None:
        self._answering = answering
        self._landings = landings
        self.number = number
        self._asked = asked

    def begin(self) -> None:
        """There is nothing to prepare."""

    def __call__(self) -> None:
        """Run it, in a thread of its own."""
        try:
            text = self._answering.by_episode(self._asked)
        except BaseException as error:  # noqa: BLE001 - raised where the batch is waited for
            self._landings.put((self.number, error))
        else:
            self._landings.put((self.number, text))

    def landed(self, text: ModelResponse | str) -> str:
        """Its answer."""
        assert isinstance(text, str)
        return text

    def failed(self, error: BaseException) -> BaseException:
        """What the code is told."""
        return error
