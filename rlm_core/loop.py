"""The episode as a state machine: events in, actions out, one door.

It knows no socket, clock, thread or chance: the driver carries its actions out and tells it what
came of them. State changes nowhere but in `Episode.handle`, which logs every event; the same
events give the same actions again, so that a recorded run can be replayed without a model.

    Ready --Begin--> Asked --Replied--> Running | Resolving | Guarding | (Asked again)
                       \\--Refused--> Salvaging --...--> Over
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlm_core import salvage, verdict
from rlm_core.conversation import ContextFacts, Conversation, Feedback
from rlm_core.phases import (
    Asked,
    Compacting,
    FallingBack,
    Guarding,
    Over,
    Phase,
    Ready,
    Resolving,
    Running,
    Salvaging,
)
from rlm_core.reply import Code, Final, FinalVar, Neither, Reply, Why, parse_reply
from rlm_core.salvage import Salvage
from rlm_core.stimuli import (
    Ask,
    Begin,
    Clear,
    Compacted,
    Ending,
    Finish,
    Look,
    Looked,
    Ran,
    Refused,
    Replied,
    Run,
    RunStatus,
    Value,
)
from rlm_core.typed import Mistyped, Typed
from rlm_core.verdict import Accepted, Blocked, Done, NotYet, Rejected

if TYPE_CHECKING:
    from rlm_core.rules import EpisodeRules
    from rlm_core.stimuli import Action, Actions, Event, Values


class Episode:
    """One question over one context, from the first step to `Finish`.

    Raises ValueError for an event that the phase does not expect: a mistake of the driver.
    """

    def __init__(self, rules: EpisodeRules, query: str, facts: ContextFacts) -> None:
        self.rules = rules
        self.step = 0
        self.log: list[Event] = []
        """All that happened."""
        self._facts = facts
        self._conversation = Conversation(rules, query, facts)
        self._phase: Phase = Ready()
        self._feedback = Feedback()
        self.reply: Reply | None = None
        """The last reply, as it was read."""
        self._text = ""
        self._stdout = ""
        self._ran_code = False
        self._called_sub_model = False
        self._fallback_used = rules.fallback_code is None
        self._invalid = 0
        self._empty = 0
        self._errors = 0
        self._rejections = 0
        self._prints = 0
        self._turn: tuple[str, Feedback] | None = None
        self._same_turns = 1
        self._before: list[Action] = []

    def handle(self, event: Event) -> Actions:
        """Take what happened in, and say what is to be done now."""
        self._before = []
        action = self._decide(event)
        self.log.append(event)
        return (*self._before, action)

    def _decide(self, event: Event) -> Action:
        match self._phase, event:
            case Ready(), Begin():
                return self._ask()
            case Asked(), Replied():
                return self._on_reply(event)
            case Asked(), Refused(limit):
                return self._end(limit.ending)
            case Running(reply), Ran():
                return self._on_cell(reply, event)
            case FallingBack(), Ran():
                return self._on_fallback(event)
            case Resolving(final), Looked(values):
                return self._on_final_value(final, values)
            case Guarding(), Looked(values):
                return self._fall_back() if self._guard_is_due(values) else self._next()
            case Compacting(), Replied(text):
                return self._compact(text.strip() or None)
            case Compacting(), Refused():
                return self._compact(None)
            case Salvaging(salvage), _:
                return self._on_attempt(salvage, event)
        raise ValueError(f"{type(event).__name__} is not expected in {self._phase}")

    # --- replies ------------------------------------------------------------------------------

    def _on_reply(self, reply: Replied) -> Action:
        self._conversation.hear(reply.text)
        previous, self.reply, self._text = self.reply, parse_reply(reply.text), reply.text
        if reply.overdrawn is not None:
            return self._end(reply.overdrawn.ending)
        self._empty = self._empty + 1 if verdict.ran_dry(self.reply, reply.finish_reason) else 0
        if self._empty and self._empty == self.rules.invalid_response_limit:
            return self._end(Ending.EMPTY_REPLIES)
        match self.reply:
            case Code() as code:
                return self._run(code)
            case Final() | FinalVar() as final:
                return self._on_final(final)
            case Neither(Why.PLAN, text) if previous == self.reply:
                return self._on_final(Final(text))  # it insists: so it is the answer
            case Neither(why):
                error = verdict.invalid_reply(why, reply.text, reply.finish_reason)
                return self._invalid_turn(error)

    def _run(self, code: Code) -> Action:
        self._invalid = 0
        self._phase = Running(code)
        named = (code.final.name,) if isinstance(code.final, FinalVar) else ()
        return Run(code.source, tuple(dict.fromkeys(self._auto_names() + named)))

    def _on_final(self, final: Final | FinalVar) -> Action:
        refusal = verdict.guard(self.rules, self._done())
        if refusal is not None:
            return self._invalid_turn(refusal)
        self._feedback = Feedback()
        if final.name is None:
            text = final.text if isinstance(final, Final) else final.name
            return self._finish(Value(text), Ending.FINAL)
        self._phase = Resolving(final)
        return Look((final.name,))

    def _on_final_value(self, final: Final | FinalVar, values: Values) -> Action:
        value = values.get(final.name or "")
        found = value is not None and value.kind != "none"
        match final:
            case Final(text):
                return self._finish(value if value and found else Value(text), Ending.FINAL)
            case FinalVar():
                if value is not None and found:
                    return self._finish(value, Ending.FINAL_VAR)
                self._feedback = Feedback(error=verdict.MISSING_VARIABLE)
                return self._next() if self._fallback_used else self._fall_back()

    def _invalid_turn(self, error: str) -> Action:
        """A turn without code: tell the model, and see whether the fallback code is due."""
        self._invalid += 1
        self._feedback = Feedback(error=error)
        limit = self.rules.invalid_response_limit
        limit_reached = limit is not None and self._invalid >= limit
        if not self._fallback_used and (limit_reached or self._subcall_guard_is_due()):
            return self._fall_back()
        if not self._fallback_used and self._auto_names() and self._is_guard_step():
            self._phase = Guarding()
            return Look(self._auto_names())
        return self._next()

    # --- cells --------------------------------------------------------------------------------

    def _on_cell(self, reply: Code, ran: Ran) -> Action:
        self._take(ran)
        if ran.submitted is not None:
            refusal = verdict.guard(self.rules, self._done())
            if refusal is None:
                return self._finish(ran.submitted, Ending.SUBMITTED)
            self._feedback = Feedback(ran.stdout, refusal)
        if verdict.printed(self._facts.head, self._facts.length, ran.stdout):
            self._prints += 1
            if self._prints >= self.rules.context_print_limit:
                return self._end(Ending.CONTEXT_PRINTED)
            self._advise(verdict.PRINTED)
        self._errors += ran.error is not None
        if not self._fallback_used and self._fallback_after_cell(ran):
            return self._fall_back()
        return self._auto_finish(ran.values) or self._after_cell(reply, ran)

    def _after_cell(self, reply: Code, ran: Ran) -> Action:
        if not self._fallback_used and self._subcall_guard_is_due():
            return self._fall_back()
        if not isinstance(reply.final, FinalVar) or ran.error is not None:
            return self._next()
        refusal = verdict.guard(self.rules, self._done())
        if refusal is not None:
            self._feedback = Feedback(ran.stdout, refusal)
            return self._next()
        return self._on_final_value(reply.final, ran.values)

    def _on_fallback(self, ran: Ran) -> Action:
        self._take(ran)
        return self._auto_finish(ran.values) or self._next()

    def _take(self, ran: Ran) -> None:
        self._ran_code = True
        self._called_sub_model = self._called_sub_model or ran.subcalls > 0
        self._stdout = ran.stdout if ran.stdout.strip() else self._stdout
        silent = not ran.stdout and ran.error is None
        self._feedback = Feedback(ran.stdout, ran.error or "", ran.changes if silent else "")

    def _auto_finish(self, values: Values) -> Action | None:
        """Finish if the auto-finalize variable holds the answer; else say why it does not."""
        auto = self.rules.auto_finalize
        if auto is None:
            return None
        judged = verdict.of_auto_variable(
            self.rules,
            values.get(auto.variable),
            self._done(),
            fallback_pending=not self._fallback_used,
        )
        match judged:
            case Accepted(answer):
                return self._auto_answer(answer, values[auto.variable])
            case NotYet(error):
                self._complain(error)
                return None
            case Blocked(error):
                self._complain(error)
            case Rejected(pattern):
                self._rejections += 1
                if self._rejections >= auto.reject_limit:
                    return self._end(Ending.REJECTED)
                self._complain(verdict.rejection_feedback(auto, pattern, self._rejections))
        self._before.append(Clear(auto.variable))
        return None

    def _auto_answer(self, answer: str, value: Value) -> Action | None:
        """The variable holds an answer: finish, unless it is of another type than asked for."""
        read = self.rules.read(value)
        if isinstance(read, Mistyped):
            self._complain(read.error)
            return None
        return self._over(answer, RunStatus.ANSWERED, Ending.AUTO_FINALIZE, read)

    # --- fallback code ------------------------------------------------------------------------

    def _fall_back(self) -> Action:
        self._fallback_used = True
        self._phase = FallingBack()
        return Run(self.rules.fallback_code or "", self._auto_names())

    def _fallback_after_cell(self, ran: Ran) -> bool:
        limit = self.rules.repl_error_limit
        if ran.error is not None and limit is not None and self._errors >= limit:
            return True
        value = ran.values.get(self._auto_names()[0]) if self._auto_names() else None
        if value is not None and value.kind == "text" and verdict.is_no_answer(value.text):
            return True
        return self._guard_is_due(ran.values)

    def _guard_is_due(self, values: Values) -> bool:
        names = self._auto_names()
        return bool(names) and self._is_guard_step() and verdict.holds_nothing(values.get(names[0]))

    def _is_guard_step(self) -> bool:
        due = self.rules.fallback_guard_steps
        return due is not None and self.step >= due

    def _subcall_guard_is_due(self) -> bool:
        due = self.rules.subcall_guard_steps
        needed = self.rules.require_subcall_before_final and not self._called_sub_model
        return needed and due is not None and self.step >= due

    # --- the next step, or the end ------------------------------------------------------------

    def _next(self) -> Action:
        """Ask again, unless the model turns in a circle or has no step left."""
        turn = (self._text.strip(), self._feedback)
        self._same_turns = self._same_turns + 1 if turn == self._turn else 1
        self._turn = turn
        if self._same_turns >= self.rules.collapse_limit:
            return self._end(Ending.COLLAPSED)
        if self._same_turns > 1:
            self._advise(verdict.REPEATED.format(count=self._same_turns))
        return self._ask()

    def _ask(self) -> Action:
        if self.step >= self.rules.max_steps:
            return self._end(Ending.MAX_STEPS)
        if self._conversation.older(self._feedback):
            return self._make_room()
        return self._ask_now()

    def _make_room(self) -> Action:
        """The history is too long: summarise its older part before the next step."""
        rules = self.rules.compaction
        if rules is None or rules.by == "rule":
            return self._compact(None)
        self._phase = Compacting()
        messages = self._conversation.ask_for_compaction()
        return Ask(messages, self.rules.max_tokens, "compaction")

    def _ask_now(self) -> Action:
        self.step += 1
        self._phase = Asked()
        messages = self._conversation.ask(self._feedback, self.step, repl_executed=self._ran_code)
        return Ask(messages, self.rules.max_tokens)

    def _compact(self, summary: str | None) -> Action:
        """Put a summary in the place of older turns, and go on with the step."""
        older = self._conversation.older(self._feedback)
        shown = self._conversation.compact(older, summary)
        self._before.append(Compacted(shown, len(older) // 2))
        return self._ask_now()

    def _finish(self, value: Value, ending: Ending) -> Action:
        """The model's final: the end, unless it is of another type than asked for."""
        read = self.rules.read(value)
        if isinstance(read, Mistyped):
            self._complain(read.error)
            return self._next()
        return self._over(value.text, RunStatus.ANSWERED, ending, read)

    def _over(self, answer: str, status: RunStatus, ending: Ending, read: Typed | None) -> Action:
        self._phase = Over()
        return Finish(answer, status, ending, None if read is None else read.value)

    def _end(self, ending: Ending) -> Action:
        """Something stops the episode: look for the best answer there is."""
        fallback = None if self._fallback_used else self.rules.fallback_code
        attempts = salvage.plan(ending, self.rules, self.reply, self._text, fallback=fallback)
        return self._attempt(Salvage(ending, self.rules, attempts))

    def _attempt(self, salvage: Salvage) -> Action:
        action = salvage.next(self._conversation, self._feedback, self.step, self._stdout)
        self._phase = Over() if isinstance(action, Finish) else Salvaging(salvage)
        return action

    def _on_attempt(self, salvage: Salvage, event: Event) -> Action:
        if isinstance(event, Ran):
            self._take(event)
        finish = salvage.hear(event)
        if finish is None:
            return self._attempt(salvage)
        self._phase = Over()
        return finish

    # --- small things -------------------------------------------------------------------------

    def _done(self) -> Done:
        return Done(self.step, self._ran_code, self._called_sub_model)

    def _auto_names(self) -> tuple[str, ...]:
        auto = self.rules.auto_finalize
        return (auto.variable,) if auto is not None else ()

    def _complain(self, error: str) -> None:
        if error:
            before = self._feedback
            self._feedback = Feedback(before.stdout, error, before.state, before.advice)

    def _advise(self, advice: str) -> None:
        before = self._feedback
        joined = "\n".join(filter(None, (before.advice, advice)))
        self._feedback = Feedback(before.stdout, before.error, before.state, joined)
