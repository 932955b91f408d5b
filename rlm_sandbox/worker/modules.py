"""Modules that come as code: `rlm_sandbox.modules` on this side of the wall."""

from __future__ import annotations

import marshal
import sys
from collections.abc import Mapping
from types import CodeType, ModuleType


def load_new(packed: bytes) -> None:
    """As `load`, where none of them may be there. Raises ImportError."""
    codes = _unpacked(packed)
    for name in codes:
        if name in sys.modules:
            raise ImportError(f"a module {name!r} is there already: choose another name")
    _run(codes)


def load(packed: bytes) -> None:
    """Run those that are not there yet, in their order. Raises whatever they raise."""
    codes = _unpacked(packed)
    _run({name: code for name, code in codes.items() if name not in sys.modules})


def _unpacked(packed: bytes) -> dict[str, CodeType]:
    return dict(marshal.loads(packed))  # noqa: S302 - from the controller


def _run(codes: Mapping[str, CodeType]) -> None:
    for name, code in codes.items():
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
