"""The models of a batch, and how a process that is somewhere else makes its own."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from rlm_core.errors import ConfigError

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from rlm_core.adapters.base import ModelAdapter


@dataclass(frozen=True)
class Pair:
    """The root model and the sub-model; None is the root model again."""

    root: ModelAdapter
    sub: ModelAdapter | None = None


class MakesModels(Protocol):
    """Makes the models in the process where they are used; closed with the stack."""

    def __call__(self, resources: ExitStack) -> Pair:
        """The models. Raises ValueError for names that cannot work."""
        ...


@dataclass(frozen=True)
class NamedModels:
    """Models by name, as on the command line. Keys come from the environment of the process."""

    name: str
    sub_name: str | None = None
    base_url: str | None = None

    def __call__(self, resources: ExitStack) -> Pair:
        """Open the adapters. Raises ValueError for names that cannot work."""
        root = self._opened(self.name, resources)
        return Pair(root, None if self.sub_name is None else self._opened(self.sub_name, resources))

    def _opened(self, name: str, resources: ExitStack) -> ModelAdapter:
        from rlm_core.adapters.named import adapter_named

        return resources.enter_context(adapter_named(name, base_url=self.base_url))


@dataclass(frozen=True)
class OfflineModels:
    """The built-in model that looks for words."""

    def __call__(self, resources: ExitStack) -> Pair:
        """Nothing has to be opened."""
        from rlm_core.adapters.offline import OfflineAdapter

        del resources
        return Pair(OfflineAdapter())


@dataclass(frozen=True)
class GivenModels:
    """Adapters that the caller has; they stay the caller's to close."""

    pair: Pair

    def __call__(self, resources: ExitStack) -> Pair:
        """As they are."""
        del resources
        return self.pair


class OpenModels:
    """Models that are open while this is. Raises ConfigError for names that cannot work."""

    def __init__(self, make: MakesModels) -> None:
        self._resources = ExitStack()
        try:
            self.pair = make(self._resources)
        except BaseException as error:
            self._resources.close()
            if isinstance(error, ValueError):
                raise ConfigError(str(error)) from error
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close what was opened."""
        self._resources.close()
