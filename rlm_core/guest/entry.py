"""Makes the names of a session. Its source is what `Sandbox.install` runs (`rlm_core.prelude`).

Its globals hold, before it runs: the text P, the functions of the host (`rlm_core.subcalls`) and
the values of `rlm_core.prelude.values_of`. Every name of `__all__` is put into the session and
comes back after a cell that binds it anew.
"""

from __future__ import annotations

import marshal
import random
import sys
import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    P = CONTEXT_TYPE = ""
    MODULES: dict[str, bytes] = {}
    SEED = 0
    CONTEXT_PATHS: list[str] = []
    DOCUMENT_BOUNDS: list[int] = []
    DOCUMENTS_TEXT = sys.argv[0] if sys.argv else None
    PARALLEL = len(sys.argv) > 1
    HOST: dict[str, Callable[..., object]] = {}

for _name, _code in MODULES.items():
    if _name not in sys.modules:
        _module = sys.modules[_name] = types.ModuleType(_name)
        exec(marshal.loads(_code), vars(_module))  # noqa: S102, S302 - from the host

from rlm_core.context import Context, DocumentSpans  # noqa: E402 - loaded just now
from rlm_core.guest import scaffold  # noqa: E402

random.seed(SEED)  # a run that is replayed draws what it drew
_whole = P if DOCUMENTS_TEXT is None else DOCUMENTS_TEXT
_ctx = Context(P, DocumentSpans(_whole, DOCUMENT_BOUNDS), CONTEXT_TYPE, tuple(CONTEXT_PATHS))
_host = {name: globals()[name] for name in ("rlm_query", "rlm_batch", "rlm_budget", "rlm_submit")}
_names = scaffold.names(_ctx, _host, parallel=PARALLEL)
globals().update(_names)
__all__ = list(_names)
