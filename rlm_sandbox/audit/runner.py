"""Runs one hostile program in a fresh, real sandbox and judges it by what is seen from outside."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from types import TracebackType
from typing import Self

from rlm_sandbox.audit import evidence
from rlm_sandbox.audit.evidence import Trial
from rlm_sandbox.audit.findings import Row, Status
from rlm_sandbox.audit.opening import forget_layers, open_sandbox
from rlm_sandbox.audit.prelude import PRELUDE
from rlm_sandbox.audit.program import LOOSE, Aim, Kind, Program
from rlm_sandbox.audit.stage import Names, Stage, processes_named
from rlm_sandbox.audit.stay import Stay
from rlm_sandbox.audit.sweep import Functions, Sweep
from rlm_sandbox.confine.layers import Layer
from rlm_sandbox.errors import IsolationUnavailable, SandboxError
from rlm_sandbox.limits import Limits
from rlm_sandbox.result import ExecResult, Outcome
from rlm_sandbox.sandbox import Sandbox


class Auditor:
    """Runs programs on one stage, with a bystander whose session nothing may disturb."""

    def __init__(self, isolation: str = "auto", without: Iterable[Layer] = ()) -> None:
        self._isolation = isolation
        self._without = frozenset(without)
        self._resources = contextlib.ExitStack()
        self._resources.callback(forget_layers, isolation, self._without)
        try:
            self._stage = self._resources.enter_context(Stage())
            self._bystander = self._resources.enter_context(
                open_sandbox(
                    limits=Limits(),
                    functions={},
                    imports="safe",
                    isolation=isolation,
                    without=self._without,
                )
            )
            self._bystander.exec("x = 41")
        except BaseException:
            self._resources.close()
            raise
        self.isolation = self._bystander.isolation
        self.layers = frozenset(map(Layer, self._bystander.layers))

    def run(self, program: Program) -> Row:
        """The program under the layers of this audit."""
        started = time.perf_counter()
        if program.numbers:
            trial = Trial(Names(), str(Outcome.OK))
            trial.findings += Sweep(self.layers).run(program, self._open)
        else:
            trial = self._trial(program, self._without, program.limits, self._isolation)
            if _was_too_slow(program, trial):
                program = program.with_more_time()
                trial = self._trial(program, self._without, program.limits, self._isolation)
        milliseconds = 1000 * (time.perf_counter() - started)
        if not trial.findings and not self._without and trial.outcome not in program.outcomes:
            trial.findings.append(f"controller: its step ended as {trial.outcome!r}")
        reason = self._excuse(program, trial.findings) if trial.findings else ""
        status = Status.CONTAINED
        if trial.findings:
            status = Status.ALONE if reason else Status.ESCAPED
        return Row(
            program,
            status,
            self._by(program),
            trial.outcome,
            milliseconds,
            tuple(trial.findings),
            reason,
        )

    def prove(self, program: Program) -> Row:
        """The program with the layers against it off: it should get through, else it is idle."""
        started = time.perf_counter()
        off = frozenset((*program.layers, *program.also_off, *_blinding(program)))
        limits = LOOSE if program.kind is Kind.RESOURCES else program.limits
        try:
            trial = self._trial(program, off, limits, "auto")
        except IsolationUnavailable as unavailable:  # Python lies where others cannot read, say
            return Row(program, Status.UNTRIED, "nothing", "", 0.0, (), str(unavailable))
        finally:
            forget_layers("auto", off)
        status = Status.ESCAPED if trial.findings else Status.CONTAINED
        milliseconds = 1000 * (time.perf_counter() - started)
        return Row(program, status, "nothing", trial.outcome, milliseconds, tuple(trial.findings))

    def _open(self, program: Program, functions: Functions) -> Sandbox:
        """A sandbox under the layers of this audit."""
        return open_sandbox(
            limits=program.limits,
            functions=functions,
            imports=program.imports,
            isolation=self._isolation,
            without=self._without,
        )

    def _excuse(self, program: Program, findings: Iterable[str]) -> str:
        """Why this program may get through here, if that is known. What leads out has no excuse."""
        if {finding.partition(":")[0] for finding in findings} - _excusable(program):
            return ""
        missing = [layer for layer in program.alone if layer not in self.layers]
        return program.alone[missing[0]] if missing else ""

    def _by(self, program: Program) -> str:
        return next((str(layer) for layer in program.layers if layer in self.layers), "controller")

    # --- one run --------------------------------------------------------------------------------

    def _trial(
        self, program: Program, off: frozenset[Layer], limits: Limits, isolation: str
    ) -> Trial:
        trial = Trial(Names())
        memory = evidence.resident()
        with contextlib.ExitStack() as opened:
            try:
                targets = self._stage.targets(trial.names)
                if program.neighbour:
                    targets |= self._neighbour(program, off, isolation, opened)
                box = opened.enter_context(
                    open_sandbox(
                        limits=limits,
                        functions={"echo": trial.heard, "big": trial.big},
                        imports=program.imports,
                        isolation=isolation,
                        without=off,
                    )
                )
                self._attack(program, box, targets, trial)
            except IsolationUnavailable:
                raise
            except SandboxError as error:
                trial.outcome = type(error).__name__
                trial.findings.append(f"controller: {type(error).__name__}: {error}")
            marked = processes_named(trial.names.mark)
            trial.findings += [f"process: {pid} bears the mark" for pid in evidence.alive(marked)]
            evidence.end(marked)
        self._judge(program, trial, evidence.resident() - memory)
        trial.findings = list(dict.fromkeys(trial.findings))
        return trial

    def _neighbour(
        self, program: Program, off: frozenset[Layer], isolation: str, opened: contextlib.ExitStack
    ) -> dict[str, object]:
        """Start the other tenant; returns what the program is told of it."""
        names, stay = Names(), Stay()
        box = opened.enter_context(
            open_sandbox(
                limits=program.limits,
                functions={"stay": stay},
                imports="all",
                isolation=isolation,
                without=off,
            )
        )
        secret = self._stage.new_secret("neighbour-")
        box.set("T", {**self._stage.targets(names), "neighbour_secret": secret})
        box.exec(PRELUDE)
        opened.callback(self._note_what_it_drew, stay.begin(box, program.neighbour))
        opened.callback(stay.end)
        return {"neighbour_pid": next(iter(processes_named(names.process)), 0)}

    def _note_what_it_drew(self, running: Future[ExecResult]) -> None:
        """Random numbers that the neighbour printed are secrets too."""
        said = running.result().stdout.split()
        self._stage.secrets.update(word for word in said if word.isdigit() and len(word) > 20)

    def _attack(
        self, program: Program, box: Sandbox, targets: dict[str, object], trial: Trial
    ) -> None:
        box.set("T", targets)
        prepared = box.exec(PRELUDE)
        if prepared.error is not None:
            trial.findings.append(f"controller: the prelude failed: {prepared.error}")
            return
        seals = evidence.seals(trial.names.process)
        with evidence.saviour(box, program, trial), evidence.marks_seen(program, trial):
            trial.result = result = box.exec(program.code)
        trial.findings += self._stage.victim.harm()
        trial.outcome = str(result.outcome)
        trial.texts += [result.stdout, result.error or ""]
        for pid, now in evidence.seals(trial.names.process).items():
            before = seals.get(pid) or next(iter(seals.values()), now)
            trial.findings += [f"seal: {text}" for text in now.broken_since(before)]
        if program.idle_seconds:
            evidence.watch_idle(program, trial)
        if program.kind in {Kind.PROTOCOL, Kind.PYTHON}:
            evidence.go_on(box, trial)

    def _judge(self, program: Program, trial: Trial, growth: int) -> None:
        """Add all that can be seen from outside once the sandbox is closed."""
        said = "\n".join(trial.texts)
        trial.findings += self._stage.changes() + self._stage.told(said)
        if trial.names.token in said:
            trial.findings.append("claim: the program says that it has succeeded")
        if program.aim is Aim.USAGE and trial.result is not None:
            trial.findings += evidence.excess(trial.result, program.limits)
        trial.findings += evidence.survivors(trial.names)
        if growth > evidence.GROWTH_BYTES:
            trial.findings.append(f"controller: it has grown by {growth >> 20} MiB")
        if (answer := self._bystander.exec("x + 1").stdout) != "42\n":
            trial.findings.append(f"controller: the bystander says {answer!r}")

    def close(self) -> None:
        self._resources.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def audit(programs: Iterable[Program], auditor: Auditor, *, prove: bool = False) -> Iterator[Row]:
    """The rows of these programs, one by one as they are done."""
    for program in programs:
        if prove and program.inert:
            continue
        yield auditor.prove(program) if prove else auditor.run(program)


def _blinding(program: Program) -> tuple[Layer, ...]:
    """The layer that keeps an ordinary user from reading the seal of a process of its own."""
    return (Layer.NOT_DUMPABLE,) if program.aim is Aim.SEAL and os.geteuid() != 0 else ()


def _was_too_slow(program: Program, trial: Trial) -> bool:
    """True if nothing is known but that its time was up, which is not how it should end."""
    ended = {str(outcome) for outcome in {Outcome.TIMEOUT, Outcome.CPU} - program.outcomes}
    return not trial.findings and trial.outcome in ended


def _excusable(program: Program) -> set[str]:
    """The kinds of findings that a layer which stands alone may leave."""
    within = {Aim.SEAL, Aim.CLAIM}  # within the seal, or told by the code alone
    if program.aim in {Aim.PROCESS, Aim.USAGE, Aim.SECRET}:
        within.add(program.aim)
    return {str(aim) for aim in within}
