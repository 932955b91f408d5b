"""A context on its way to other processes: its bytes are mapped there, not copied.

Pickled with protocol 5, the bytes go apart from the rest (PEP 574); an object store keeps them in
shared memory once a machine, and every process there reads the same pages. Each decodes them once.
"""

from __future__ import annotations

import pickle
from array import array
from typing import TYPE_CHECKING

from rlm_core.context import Context, DocumentSpans

if TYPE_CHECKING:
    Bytes = bytes | bytearray | memoryview


class ShippedContext:
    """A context that travels. `opened` gives it back."""

    def __init__(
        self,
        data: Bytes,
        bounds: array[int] | None,
        context_type: str,
        paths: tuple[str, ...],
        documents: tuple[str, ...],
    ) -> None:
        self._data = data
        self._bounds = bounds
        self._context_type = context_type
        self._paths = paths
        self._documents = documents

    @classmethod
    def of(cls, context: Context) -> ShippedContext:
        """Ready for the journey: its text becomes bytes here, once."""
        spans = context.spans()
        return cls(
            context.text.encode(errors="surrogatepass"),
            None if spans is None else array("Q", spans.bounds()),
            context.context_type,
            context.paths,
            tuple(context.documents) if spans is None else (),
        )

    def opened(self) -> Context:
        """The context, its text decoded from the bytes where they are."""
        text = str(self._data, "utf-8", "surrogatepass")
        spans = None if self._bounds is None else DocumentSpans(text, self._bounds)
        documents = self._documents if spans is None else spans
        return Context(text, documents, self._context_type, self._paths)

    def __reduce_ex__(self, protocol: object) -> tuple[object, ...]:
        """The bytes apart, where the protocol can: `buffer_callback` of pickle gets them."""
        apart = isinstance(protocol, int) and protocol >= 5
        data = pickle.PickleBuffer(self._data) if apart else bytes(self._data)
        whole = (data, self._bounds, self._context_type, self._paths, self._documents)
        return type(self), whole
