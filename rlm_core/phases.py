"""Where an episode stands: what it waits for, and what it needs to know when that comes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rlm_core.reply import Code, Final, FinalVar
    from rlm_core.salvage import Attempt
    from rlm_core.stimuli import Ending


@dataclass(frozen=True)
class Ready:
    """Nothing has been asked yet."""


@dataclass(frozen=True)
class Asked:
    """The model was asked for the next step."""


@dataclass(frozen=True)
class Running:
    """Code of the model runs."""

    reply: Code


@dataclass(frozen=True)
class FallingBack:
    """The caller's fallback code runs."""


@dataclass(frozen=True)
class Resolving:
    """The model's final names a variable, which is being read."""

    final: Final | FinalVar


@dataclass(frozen=True)
class Guarding:
    """The auto-finalize variable is being read, to see whether the fallback code is due."""


@dataclass(frozen=True)
class Compacting:
    """The model was asked to summarise the older turns; then the step goes on."""


@dataclass(frozen=True)
class Salvaging:
    """The episode ends; this attempt at a best answer is under way."""

    ending: Ending
    attempt: Attempt


@dataclass(frozen=True)
class Over:
    """The episode has finished."""


Phase = Ready | Asked | Running | FallingBack | Resolving | Guarding | Compacting | Salvaging | Over
