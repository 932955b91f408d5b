"""What lives on the machines of a Ray cluster: an answerer, for as long as the batch takes."""

from __future__ import annotations

from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlm_core.batch.answerer import Answerer
from rlm_core.batch.models import OpenModels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rlm_core.batch.answerer import Manner
    from rlm_core.batch.models import MakesModels
    from rlm_core.batch.outcome import Outcome
    from rlm_core.batch.schedule import Attempt
    from rlm_core.batch.shipped import ShippedContext
    from rlm_core.context import Context


class BatchActor:
    """Answers tasks in a process of its own, several at once. Ray makes it and calls it.

    `contexts` are references into the object store, by name; they are mapped, and decoded once.
    """

    def __init__(
        self, models: MakesModels, manner: Manner, contexts: Mapping[str, object], at_once: int
    ) -> None:
        if manner.traces is not None:
            Path(manner.traces).mkdir(parents=True, exist_ok=True)
        self._resources = ExitStack()
        opened = self._resources.enter_context(OpenModels(models))
        self._answerer = Answerer(
            opened.pair,
            manner,
            contexts={name: _opened(reference) for name, reference in contexts.items()},
            at_once=at_once,
        )

    def ready(self) -> bool:
        """True, as soon as there is somebody to say so."""
        return True

    def answer(self, attempt: Attempt) -> Outcome:
        """Carry out one attempt; whatever goes wrong with it is in the outcome."""
        return self._answerer.answer(attempt)

    def stop(self) -> None:
        """Cancel what runs."""
        self._answerer.stop()

    def close(self) -> None:
        """End the sandboxes, and close the models."""
        self._answerer.close()
        self._resources.close()


def _opened(reference: object) -> Context:
    """A context out of the object store."""
    ray: Any = import_module("ray")
    shipped: ShippedContext = ray.get(reference)
    return shipped.opened()
