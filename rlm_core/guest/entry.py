"""Makes the names of a session: what `rlm_core.prelude` has run in it, first of all."""

from __future__ import annotations

import random

from rlm_core.context import Context, DocumentSpans
from rlm_core.guest import scaffold

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HOST = ("rlm_query", "rlm_batch", "rlm_budget", "rlm_submit")


def enter(there: dict[str, Any]) -> list[str]:
    """Put every name of a session beside those that are there; returns them.

    There are the text P, the functions of the host (`rlm_core.subcalls`) and the values of
    `rlm_core.prelude.values_of`.
    """
    random.seed(there["SEED"])  # a run that is replayed draws what it drew
    text, apart = there["P"], there["DOCUMENTS_TEXT"]
    documents = DocumentSpans(text if apart is None else apart, there["DOCUMENT_BOUNDS"])
    context = Context(text, documents, there["CONTEXT_TYPE"], tuple(there["CONTEXT_PATHS"]))
    host = {name: there[name] for name in HOST}
    names = scaffold.names(context, host, parallel=there["PARALLEL"])
    there.update(names)
    return list(names)
