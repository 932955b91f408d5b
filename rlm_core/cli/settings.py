"""Flags and environment as one frozen record; flags win."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from rlm_core.adapters.environment import base_url_from
from rlm_core.adapters.named import OFFLINE

if TYPE_CHECKING:
    from collections.abc import Mapping

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_YES = frozenset({"1", "true", "yes", "on"})


class UsageError(Exception):
    """Flags or environment that cannot work together; the message says what to do."""


class ModelFlags(Protocol):
    """The flags by which every command names its model; None where one was not given."""

    @property
    def model(self) -> str | None:
        """--model."""
        ...

    @property
    def sub_model(self) -> str | None:
        """--sub-model."""
        ...

    @property
    def base_url(self) -> str | None:
        """--base-url."""
        ...


@dataclass(frozen=True)
class OfflineModel:
    """The built-in model that looks for words. `chosen` if it was asked for by name."""

    chosen: bool

    @property
    def caution(self) -> str:
        """What people are told, lest they take it for a language model."""
        hint = "" if self.chosen else "; for a language model use --model and --base-url"
        return (
            f"the offline keyword model answers: it looks for the question's words and "
            f"understands none of them{hint}"
        )


@dataclass(frozen=True)
class ServedModel:
    """A model at a server; `base_url` None is the adapter's own default."""

    name: str
    sub_name: str | None
    base_url: str | None


@dataclass(frozen=True)
class Settings:
    """How a run is made and shown."""

    model: OfflineModel | ServedModel
    log_level: str
    parallel: bool
    show_trajectory: bool

    @classmethod
    def gather(cls, arguments: ModelFlags, environment: Mapping[str, str]) -> Settings:
        """The settings of a command. Raises UsageError."""
        return cls(
            model=_model(arguments, environment),
            log_level=_log_level(environment.get("LLM_LOG_LEVEL", "")),
            parallel=_is_yes(environment.get("PARALLEL_SUBCALLS")),
            show_trajectory=_is_yes(environment.get("SHOW_TRAJECTORY")),
        )


def _model(arguments: ModelFlags, environment: Mapping[str, str]) -> OfflineModel | ServedModel:
    name = arguments.model or environment.get("LLM_MODEL") or None
    if name == OFFLINE:
        return OfflineModel(chosen=True)
    if name is not None:
        return ServedModel(
            name,
            arguments.sub_model or environment.get("LLM_SUBCALL_MODEL") or None,
            arguments.base_url or base_url_from(environment),
        )
    for flag, value in (("--base-url", arguments.base_url), ("--sub-model", arguments.sub_model)):
        if value is not None:
            raise UsageError(f"{flag} needs a model as well: add --model NAME or set LLM_MODEL")
    return OfflineModel(chosen=False)


def _log_level(text: str) -> str:
    level = text.strip().upper() or "WARNING"
    if level not in LOG_LEVELS:
        raise UsageError(f"LLM_LOG_LEVEL is {text!r}: set it to one of {', '.join(LOG_LEVELS)}")
    return level


def _is_yes(text: str | None) -> bool:
    return text is not None and text.strip().lower() in _YES
