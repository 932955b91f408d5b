"""The models of a run, and who is asked for what."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rlm_core.adapters.base import ModelAdapter


class Models:
    """The root's model, the sub-model, and sub-models that code may name."""

    def __init__(
        self,
        root: ModelAdapter,
        sub: ModelAdapter | None = None,
        named: Mapping[str, ModelAdapter] | None = None,
    ) -> None:
        self.root = root
        self.sub = sub or root
        self._named = dict(named or {})

    def names(self) -> dict[str, object]:
        """What each model is called, for the trace."""
        root, sub = model_name(self.root), model_name(self.sub)
        return {"root": root, "sub": sub, "named": sorted(self._named)}

    def named(self, name: str | None) -> ModelAdapter:
        """The sub-model of that name; None is the default one. Raises ValueError."""
        if name is None:
            return self.sub
        if name in self._named:
            return self._named[name]
        if name == model_name(self.sub):
            return self.sub
        known = ", ".join(sorted(self._named)) or "none has a name"
        raise ValueError(f"no sub-model is called {name!r} ({known}): leave model= out")


def model_name(adapter: ModelAdapter) -> str | None:
    """The name under which an adapter's model has a price and limits."""
    model: object = getattr(adapter, "model", None)
    return model if isinstance(model, str) else None


def is_cacheable(adapter: ModelAdapter) -> bool:
    """A scripted model's reply depends on the calls before: it says `cacheable = False`."""
    return bool(getattr(adapter, "cacheable", True))
