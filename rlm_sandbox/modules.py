"""Modules without files, which the code of sandboxes finds loaded."""

from __future__ import annotations

import marshal
from collections.abc import Mapping
from types import CodeType


class Modules:
    """Trusted modules, by name: the source of each, or its code as `compile` returns it.

    >>> shouting = Modules({"shouting": "def shout(text): return text.upper()"})
    >>> with Sandbox(modules=shouting, imports=["shouting"]) as box:
    ...     box.exec("from shouting import shout; shout('hello')").stdout
    "'HELLO'\\n"

    They are run in this order, each after what it imports, once for all sandboxes and pools that
    are made with equal ones: these share them, at no cost of their own, and are forks of a process
    of their own that lives as long as this program. So have a few of them, not one a sandbox. They
    run before the sandbox is sealed, with this program's rights. What the code may import of them
    is what `imports` says; what `Sandbox.install` runs may import them all. Raises ValueError for a
    name that is none, SyntaxError for source that is none.
    """

    def __init__(self, modules: Mapping[str, str | CodeType]) -> None:
        for name in modules:
            if not all(part.isidentifier() for part in name.split(".")):
                raise ValueError(f"not the name of a module: {name!r}")
        self._codes = tuple(
            (name, _compiled(given, name) if isinstance(given, str) else given)
            for name, given in modules.items()
        )
        self._hash = hash(self._codes)  # now: it takes a while
        self.names = tuple(modules)
        self.packed = marshal.dumps(self._codes)
        """The names and the code, as the worker takes them."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Modules):
            return NotImplemented
        return self is other or self._codes == other._codes

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"<Modules {', '.join(self.names)}>"


def _compiled(source: str, name: str) -> CodeType:
    return compile(source, f"<{name}>", "exec", dont_inherit=True)
