"""Functions of the caller that the model's code may call, described to the model and checked.

>>> @tool(max_calls=20, seconds=5)
... def exchange_rate(currency: str, on: date) -> float:
...     "Euros for one unit of a currency on a day."
>>> RLM(adapter, tools=[exchange_rate])
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar, get_type_hints, overload

import msgspec

from rlm_core.errors import ConfigError, ToolArguments
from rlm_sandbox import values

Function = Callable[..., object]
F = TypeVar("F", bound=Function)
MARK = "__rlm_tool__"
_HEADING = """

The session also has these functions, which run outside of it. Call them like any other; what \
they return is plain data, and an error is an exception that says what is wrong.
"""


@dataclass(frozen=True)
class ToolLimits:
    """What a run may do with a tool. None means no limit."""

    max_calls: int | None = None
    """Calls in a whole run, all recursion levels together."""
    concurrent: int | None = None
    """Calls at once; further ones wait."""
    seconds: float | None = None
    """Wall seconds of one call. An async function is cancelled; another cannot be stopped: the
    code goes on, and what the function does is left to itself. Each call of an async function has
    an event loop of its own: what belongs to another loop (a client, say) is made within it."""

    def __post_init__(self) -> None:
        for name in ("max_calls", "concurrent", "seconds"):
            value: float | None = getattr(self, name)
            if value is not None and value <= 0:
                raise ConfigError(f"a tool's {name} must be above 0, not {value}")


@dataclass(frozen=True)
class Tool:
    """A function with what is known of it before it is called."""

    function: Function
    name: str
    signature: inspect.Signature
    types: Mapping[str, Any]
    """The annotation of each parameter that has one."""
    limits: ToolLimits = ToolLimits()

    @classmethod
    def of(cls, function: Function, name: str | None = None) -> Tool:
        """The tool that a function is. Raises ConfigError where its signature cannot be known."""
        own = name or getattr(function, "__name__", "")
        if not own.isidentifier() or own.startswith("_"):
            raise ConfigError(f"a tool needs a plain name, not {own!r}: tools={{'name': function}}")
        try:
            signature = inspect.signature(function)
            hints = get_type_hints(getattr(function, "__func__", function), include_extras=True)
        except (TypeError, ValueError, NameError) as error:
            raise ConfigError(
                f"the signature of the tool {own!r} cannot be read: {error}"
            ) from error
        parameters = signature.parameters.values()
        kinds = {each.name: hints[each.name] for each in parameters if each.name in hints}
        limits: ToolLimits = getattr(function, MARK, ToolLimits())
        return cls(function, own, signature, kinds, limits)

    @classmethod
    def unknown(cls, name: str) -> Tool:
        """A tool of which only the name is known: what it gave was recorded."""
        return cls(not_there, name, inspect.signature(not_there), {})

    @property
    def is_async(self) -> bool:
        """Whether calling it gives something that must be awaited."""
        called: object = getattr(type(self.function), "__call__", None)  # noqa: B004 - the function
        return inspect.iscoroutinefunction(self.function) or inspect.iscoroutinefunction(called)

    def shown(self) -> str:
        """Signature and docstring, as the model is shown them."""
        text = f"def {self.name}{self._written()}:"
        said = inspect.getdoc(self.function) or ""
        quoted = "\n".join(f"    {line}".rstrip() for line in said.split("\n")) if said else ""
        return f"{text}\n{quoted}" if quoted else f"{text} ..."

    def bound(self, args: Iterable[object], kwargs: Mapping[str, object]) -> inspect.BoundArguments:
        """The arguments, converted to their annotations. Raises ToolArguments."""
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise ToolArguments(
                f"{self.name}: {error}; it is {self.name}{self._written()}"
            ) from None
        for name, given in bound.arguments.items():
            if name in self.types:
                bound.arguments[name] = self._converted(name, given)
        return bound

    def plain(self, result: object) -> object:
        """What it returned, as data that can cross to the code. Raises TypeError by name."""
        if _crosses(result):
            return result
        try:
            plain: object = msgspec.to_builtins(result)
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(
                f"{self.name} returned what cannot be given to the code: {error}"
            ) from error
        return plain

    def _converted(self, name: str, given: object) -> object:
        kind: Any = self.types[name]
        match self.signature.parameters[name].kind:
            case inspect.Parameter.VAR_POSITIONAL:
                kind = types.GenericAlias(tuple, (kind, ...))
            case inspect.Parameter.VAR_KEYWORD:
                kind = types.GenericAlias(dict, (str, kind))
        try:
            return msgspec.convert(given, kind, strict=False)
        except (msgspec.ValidationError, TypeError, RecursionError) as error:
            raise ToolArguments(f"{self.name}: argument {name!r}: {error}") from None

    def _written(self) -> str:
        """The signature with types by their short names."""
        parameters = [
            each.replace(annotation=_Written(self.types[each.name]))
            if each.name in self.types
            else each
            for each in self.signature.parameters.values()
        ]
        returned = self.signature.return_annotation
        plain = returned is inspect.Signature.empty
        written = returned if plain else _Written(returned)
        return str(self.signature.replace(parameters=parameters, return_annotation=written))


class _Written:
    """An annotation that reads as a person would write it."""

    def __init__(self, kind: object) -> None:
        self._kind = kind

    def __repr__(self) -> str:
        if isinstance(self._kind, str):
            return self._kind
        plain = isinstance(self._kind, type) and not hasattr(self._kind, "__origin__")
        text = getattr(self._kind, "__name__", "") if plain else repr(self._kind)
        return text.replace("typing.", "")


@overload
def tool(function: F, /) -> F: ...
@overload
def tool(
    *,
    max_calls: int | None = None,
    concurrent: int | None = None,
    seconds: float | None = None,
) -> Callable[[F], F]: ...
def tool(
    function: F | None = None,
    /,
    *,
    max_calls: int | None = None,
    concurrent: int | None = None,
    seconds: float | None = None,
) -> F | Callable[[F], F]:
    """Mark a function as a tool, with its limits; it stays the function that it was."""
    marked = _Marked(ToolLimits(max_calls, concurrent, seconds))
    return marked if function is None else marked(function)


@dataclass(frozen=True)
class _Marked:
    """Gives functions these limits."""

    limits: ToolLimits

    def __call__(self, function: F) -> F:
        setattr(function, MARK, self.limits)
        return function


def tools_of(given: Mapping[str, Function | Tool] | Iterable[Function | Tool]) -> tuple[Tool, ...]:
    """The tools in a mapping by name, or in any row of functions. Raises ConfigError."""
    if isinstance(given, Mapping):
        tools = [_named(str(name), each) for name, each in given.items()]
    else:
        tools = [_named(None, each) for each in given]
    names = [each.name for each in tools]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"two tools are called {', '.join(twice)}")
    return tuple(tools)


def prompt_of(tools: Iterable[Tool]) -> str:
    """What the model is told of the tools, at the end of its system prompt; empty for none."""
    shown = [each.shown() for each in tools]
    return _HEADING + "\n" + "\n".join(shown) if shown else ""


def not_there(*args: object, **kwargs: object) -> object:
    """Stands for a function of which only the name is known: what it gave was recorded."""
    raise RuntimeError(f"this tool is not there: it was called with {args!r} and {kwargs!r}")


def _crosses(value: object) -> bool:
    from rlm_sandbox.errors import ValueRefused

    try:
        values.encode(value)
    except ValueRefused:
        return False
    return True


def _named(name: str | None, given: Function | Tool) -> Tool:
    if isinstance(given, Tool):
        return given if name is None else replace(given, name=name)
    if not callable(given):
        raise ConfigError(f"a tool must be a function, not {given!r}")
    return Tool.of(given, name)
