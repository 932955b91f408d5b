"""Modules that come as code: `rlm_sandbox.modules` on this side of the wall."""

from __future__ import annotations

import marshal
import sys
from types import ModuleType


def load_new(packed: bytes) -> None:
    """As `load`, where none of them may be there. Raises ImportError."""
    for name, _ in marshal.loads(packed):  # noqa: S302 - from the controller
        if name in sys.modules:
            raise ImportError(f"a module {name!r} is there already: choose another name")
    load(packed)


def load(packed: bytes) -> None:
    """Run those that are not there yet, in their order. Raises whatever they raise."""
    for name, code in marshal.loads(packed):  # noqa: S302 - from the controller
        if name in sys.modules:
            continue
        module = ModuleType(name)
        package, _, own_name = name.rpartition(".")
        sys.modules[name] = module
        try:
            exec(code, vars(module))  # noqa: S102 - the controller's own
        except BaseException as error:
            del sys.modules[name]
            error.add_note(f"in the module {name!r}")
            raise
        if package in sys.modules:
            setattr(sys.modules[package], own_name, module)
