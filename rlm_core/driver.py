"""Carries out what an episode's loop says: asks the model, runs cells, reads variables, records."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from rlm_core.adapters.base import prompt_text
from rlm_core.conversation import ContextFacts
from rlm_core.errors import RunCancelled
from rlm_core.loop import Episode
from rlm_core.models import model_name
from rlm_core.policy import (
    MaxCostExceeded,
    MaxSecondsExceeded,
    MaxStepsExceeded,
    PolicyError,
)
from rlm_core.sent import Sent
from rlm_core.stimuli import (
    Ask,
    Begin,
    Clear,
    Compacted,
    Finish,
    Limit,
    Look,
    Looked,
    Ran,
    Refused,
    Replied,
    Run,
)
from rlm_core.trace import TraceStep, cut
from rlm_sandbox.errors import SandboxClosed

if TYPE_CHECKING:
    from rlm_core.adapters.base import ModelAdapter, ModelResponse
    from rlm_core.calls import CancelScope
    from rlm_core.context import Context
    from rlm_core.ledger import Reservation
    from rlm_core.rules import EpisodeRules
    from rlm_core.session import Session
    from rlm_core.stimuli import Action, Event
    from rlm_core.subcalls import Subcalls
    from rlm_core.trace import StepKind
    from rlm_core.tree import RunTree
    from rlm_sandbox import ExecResult, Sandbox

HEAD_CHARS = 400  # enough of the context to know it again when it is printed
_TOO_LATE = "MaxSecondsExceeded: the run's time is over; the cell was not run"
_PURPOSES = {"summary": "[max_steps_summary]", "compaction": "[compaction]"}


@dataclass(frozen=True)
class Task:
    """What an episode is about, and where in the tree it stands."""

    query: str
    context: Context
    rules: EpisodeRules
    adapter: ModelAdapter
    name: str
    """Which episode of the run it is: the same in a replay."""
    scope: CancelScope
    level: int = 0
    parent_id: int | None = None
    origin: Sandbox | None = None
    """The sandbox that its session is to be a fork of."""


class EpisodeDriver:
    """Runs one episode in one session, to its end."""

    def __init__(self, tree: RunTree, task: Task, session: Session, subcalls: Subcalls) -> None:
        self._tree = tree
        self._task = task
        self._session = session
        self._subcalls = subcalls
        self._subcalls_seen = 0
        self._asked = 0
        self._sent = Sent()
        self.episode = Episode(task.rules, task.query, facts_of(task.context))

    def run(self) -> Finish:
        """The end of the episode. Raises what the model's adapter raises, and RunCancelled."""
        event: Event = Begin()
        while True:
            action = self._prepared(self.episode.handle(event))
            if isinstance(event, Replied):
                self._tree.diagnostics.reading(self.episode.reply, event, self.episode.step)
            match action:
                case Ask():
                    event = self._ask(action)
                case Run():
                    event = self._run(action)
                case Look(names):
                    event = Looked(self._session.read(names))
                case Finish():
                    return action
                case Clear() | Compacted():
                    raise AssertionError(f"{action} is never the last action")
                case _:
                    assert_never(action)

    def _prepared(self, actions: tuple[Action, ...]) -> Action:
        """Carry out the actions that need no answer, and return the last."""
        for action in actions[:-1]:
            match action:
                case Clear(name):
                    self._session.clear(name)
                case Compacted():
                    self._record_compaction(action)
                case _:
                    raise AssertionError(f"{action} is not the last action")
        return actions[-1]

    def _ask(self, ask: Ask) -> Replied | Refused:
        tree = self._tree
        name = model_name(self._task.adapter)
        self._sent.take(ask.messages)
        try:
            held = self._hold(ask, name)
        except PolicyError as error:
            return Refused(limit_of(error))
        tree.diagnostics.request(ask.messages, ask.max_tokens, self.episode.step)
        about = _PURPOSES.get(ask.purpose) or prompt_text([ask.messages[-1]])
        step = self._begin("root_call", summary=cut(about, tree.config.trace.prompt_chars))
        started = time.monotonic()
        try:
            reply = self._reply(ask, step)
        except BaseException as error:
            tree.ledger.give_back(held)
            if isinstance(error, RunCancelled) and tree.scope.expired:
                return Refused(Limit.SECONDS)
            if isinstance(error, Exception):
                said = cut(f"{type(error).__name__}: {error}", tree.config.trace.output_chars)
                tree.recorder.add(step.but(error=said, elapsed=time.monotonic() - started))
            raise
        tree.ledger.settle(held, reply.usage, reply.model_id or name)
        replied = self._replied(reply, step, time.monotonic() - started)
        tree.recorder.check()
        return replied

    def _hold(self, ask: Ask, name: str | None) -> Reservation:
        """Take a step and hold what its call may use. Raises PolicyError."""
        ledger = self._tree.ledger
        if ask.purpose == "step":
            ledger.step()
        return ledger.hold_for_root(
            self._sent.tokens, ask.max_tokens, name, subcall=self._task.level > 0
        )

    def _reply(self, ask: Ask, step: TraceStep) -> ModelResponse:
        """What the model says. Raises what the adapter raises, and RunCancelled."""
        with self._tree.running(step.step_id, self._task.scope) as scope:
            self._asked += 1
            return self._tree.ask_as_episode(
                self._task.adapter,
                self._sent.given(),
                ask.max_tokens,
                scope,
                episode=self._task.name,
                number=self._asked,
                asked=self._sent.digest(),
            )

    def _replied(self, reply: ModelResponse, step: TraceStep, seconds: float) -> Replied:
        """Record a reply that is paid for."""
        tree = self._tree
        tree.diagnostics.response(reply, self.episode.step)
        tree.recorder.add(
            step.but(
                code=cut(reply.text, tree.config.trace.code_chars),
                output=reply.text,
                usage=reply.usage,
                model=reply.model_id,
                elapsed=seconds,
            )
        )
        overdrawn = tree.ledger.overdrawn()
        reason = (reply.meta or {}).get("finish_reason")
        return Replied(
            reply.text,
            finish_reason=reason if isinstance(reason, str) else None,
            overdrawn=None if overdrawn is None else limit_of(overdrawn),
        )

    def _run(self, run: Run) -> Ran:
        started = time.monotonic()
        scope = self._task.scope
        step = self._begin("repl_exec", code=cut(run.code, self._tree.config.trace.code_chars))
        try:
            with scope.stopping(self._session.close):
                report = self._session.run(run.code)
                values = self._session.read(run.read)
            self._tree.settle_cache()
        except (RunCancelled, SandboxClosed):
            if scope.expired:
                return Ran(error=_TOO_LATE)
            scope.check()
            raise
        if not scope.expired:
            scope.check()
        self._tree.recorder.check()
        self._record_cell(report.result, step, time.monotonic() - started)
        answered = self._subcalls.answered
        subcalls, self._subcalls_seen = answered - self._subcalls_seen, answered
        return Ran(
            stdout=report.result.stdout,
            error=report.result.error,
            changes=report.changes,
            values=values,
            submitted=self._subcalls.take_submitted() or report.submitted,
            subcalls=subcalls,
        )

    def _record_cell(self, result: ExecResult, step: TraceStep, seconds: float) -> None:
        self._tree.recorder.add(
            step.but(
                stdout=result.stdout,
                error=result.error,
                elapsed=seconds,
                outcome=result.outcome.value,
                state=result.state.value,
                cpu_seconds=result.cpu_seconds,
                peak_memory=result.peak_memory,
            )
        )

    def _record_compaction(self, compacted: Compacted) -> None:
        about = f"{compacted.turns} older turns were summarised"
        self._tree.recorder.add(self._begin("compaction", summary=about, output=compacted.summary))

    def _begin(
        self,
        kind: StepKind,
        *,
        summary: str | None = None,
        code: str | None = None,
        output: str | None = None,
    ) -> TraceStep:
        """A step of this episode, which gets its number here."""
        task = self._task
        step = TraceStep(
            step_id=0,
            kind=kind,
            depth=task.level,
            prompt_summary=summary,
            code=code,
            output=output,
            parent_id=task.parent_id,
        )
        return self._tree.recorder.begin(step, level=task.level)


def facts_of(context: Context) -> ContextFacts:
    """What the model is told of a context before it looks."""
    lengths = context.document_lengths() if context.context_type == "document_list" else []
    return ContextFacts(
        length=context.len_chars(),
        context_type=context.context_type,
        num_documents=context.num_documents(),
        document_lengths=tuple(lengths),
        paths=context.paths,
        head=context.text[:HEAD_CHARS],
    )


def limit_of(error: PolicyError) -> Limit:
    """Which limit an error of the ledger is about."""
    match error:
        case MaxStepsExceeded():
            return Limit.STEPS
        case MaxSecondsExceeded():
            return Limit.SECONDS
        case MaxCostExceeded():
            return Limit.COST
    return Limit.TOKENS
