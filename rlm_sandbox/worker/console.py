"""Runs cells of code in one namespace that persists, as a REPL does."""

from __future__ import annotations

import ast
import linecache
import sys
from collections.abc import Mapping
from types import CodeType, ModuleType

from rlm_sandbox.protocol import Done, Ending, Output, encode
from rlm_sandbox.worker.bridge import Bridge, HostFunction
from rlm_sandbox.worker.channel import Channel, StepInterrupted
from rlm_sandbox.worker.imports import preloaded_modules, session_builtins
from rlm_sandbox.worker.output import CapturedOutput, OutputLimitReached
from rlm_sandbox.worker.render import cell_name, error_line


class Console:
    """The session's namespace, and how a cell of code is run in it."""

    def __init__(
        self,
        channel: Channel,
        bridge: Bridge,
        *,
        functions: tuple[str, ...],
        imports: tuple[str, ...] | None,
        output_chars: int,
    ) -> None:
        self._channel = channel
        self._bridge = bridge
        self._output = CapturedOutput(output_chars, lambda text: channel.send(Output(text)))
        self.scaffold: dict[str, object] = {}
        """Names that a cell may rebind, but not beyond its end."""
        module = ModuleType("__main__")
        sys.modules["__main__"] = module  # so that classes defined in cells have a home
        self.namespace: dict[str, object] = vars(module)
        self.namespace["__builtins__"] = session_builtins(imports)
        self.namespace.update(preloaded_modules(imports))
        self._functions: dict[str, HostFunction] = {}  # all that there have been
        self.offer(functions)

    def offer(self, functions: tuple[str, ...]) -> None:
        """Protect host functions of these names, in place of those that were there.

        What the code has kept of the former ones is the function of that name now, or none.
        """
        for name, function in self._functions.items():
            function.index = None
            self.scaffold.pop(name, None)
            self.namespace.pop(name, None)
        for index, name in enumerate(functions):
            function = self._functions.setdefault(name, HostFunction(self._bridge, index, name))
            function.index = index
        self.protect({name: self._functions[name] for name in functions})

    def reopen(self) -> None:
        """In a woken checkpoint: only the main thread is left."""
        self._output.reopen()

    def run(self, step: int, code: str) -> Done:
        """Run one cell to its end, whatever that is."""
        sys.stdout = sys.stderr = self._output
        sys.displayhook = self._echo
        self._channel.interrupted = False
        self._bridge.begin_step()
        self._output.begin_step()
        ending, error = self._guarded(step, code)
        self._bridge.end_step()
        self.namespace.update(self.scaffold)
        self.namespace["_stderr"] = error or ""
        rest, truncated = self._output.end_step()
        return Done(step, ending, error, rest, truncated)

    def rehearse(self) -> None:
        """Do what a step does, in a namespace that is thrown away.

        After a fork every page of memory that is written to is copied first, which takes longer
        than a short step; the pages that all steps write to are copied by this. To use an object
        is to write to it: its references are counted there.
        """
        session = self.namespace
        self.namespace = {"__builtins__": {}}
        try:
            self._guarded(0, "rehearsal = 0")
        finally:
            self.namespace = session
        session.update(self.scaffold)
        self._bridge.end_step()
        self._output.write("")
        encode(Done(0, "ok", None, "", truncated=False))

    def install(self, source: str, values: dict[str, object]) -> None:
        """Run trusted source as a module of its own and protect the names in its `__all__`."""
        module = ModuleType("prelude")
        names = vars(module)
        names.update(
            self.scaffold, **values, __session__=self.namespace, __scaffold__=self.scaffold
        )
        sys.modules["prelude"] = module
        exec(_compiled(source, "<prelude>", "exec"), names)  # noqa: S102 - the controller's own text
        self.protect({name: names[name] for name in names["__all__"]})

    def protect(self, names: Mapping[str, object]) -> None:
        """From now on these names have these values at the start of every cell."""
        self.scaffold.update(names)
        self.namespace.update(names)

    def _guarded(self, step: int, code: str) -> tuple[Ending, str | None]:
        """How the cell ended, and the error if any. An interrupt may come at any point in here."""
        try:
            self._channel.shielded = False
            how = self._attempt(step, code)
            self._channel.shielded = True
        except StepInterrupted:  # which has put the shield up again
            return "interrupted", None
        return how

    def _attempt(self, step: int, code: str) -> tuple[Ending, str | None]:
        try:
            self._execute(step, code)
        except StepInterrupted:
            raise
        except MemoryError:  # there may be none left to describe it with
            return "memory", None
        except BaseException as error:  # noqa: BLE001 - the code may raise anything
            return _ending(error), error_line(error, step)
        return "ok", None

    def _execute(self, step: int, code: str) -> None:
        name = cell_name(step)
        lines = code.splitlines(keepends=True)
        linecache.cache[name] = (len(code), None, lines, name)
        if len(lines) == 1 and ";" not in code:
            try:  # the common short line: one compilation, which echoes an expression by itself
                single = _compiled(lines[0].strip() + "\n", name, "single")
            except (SyntaxError, MemoryError):
                pass  # say it below, with the code as it was given
            else:
                exec(single, self.namespace)  # noqa: S102 - it is what this process is for
                return
        body, last = _split(code, name)
        exec(body, self.namespace)  # noqa: S102
        if last is not None:
            self._echo(eval(last, self.namespace))  # noqa: S307

    def _echo(self, value: object) -> None:
        """Print a cell's last expression as a REPL does."""
        if value is not None:
            self.namespace["_"] = value
            self._output.write(repr(value) + "\n")


def _split(code: str, name: str) -> tuple[CodeType, CodeType | None]:
    """The cell, and its last expression if that is how it ends."""
    try:
        tree = ast.parse(code, name)
    except MemoryError:  # the parser's word for its own stack: no limit of the session is reached
        raise RecursionError("the code is nested too deeply to be compiled") from None
    last = None
    if tree.body and isinstance(expression := tree.body[-1], ast.Expr):
        del tree.body[-1]
        last = _compiled(ast.Expression(expression.value), name, "eval")
    return _compiled(tree, name, "exec"), last


def _compiled(code: str | ast.Module | ast.Expression, name: str, mode: str) -> CodeType:
    """Compiled as in a file of its own, whatever this one imports from __future__."""
    return compile(code, name, mode, dont_inherit=True)


def _ending(error: BaseException) -> Ending:
    if isinstance(error, OutputLimitReached):
        return "output"
    return "exited" if isinstance(error, SystemExit) else "error"
