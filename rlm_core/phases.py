"""Where an episode stands: what it waits for, and what it needs to know when that comes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from rlm_core.reply import Code, Final, FinalVar
    from rlm_core.salvage import Salvage


class Ready(Struct, frozen=True):
    """Nothing has been asked yet."""


class Asked(Struct, frozen=True):
    """The model was asked for the next step."""


class Running(Struct, frozen=True):
    """Code of the model runs."""

    reply: Code


class FallingBack(Struct, frozen=True):
    """The caller's fallback code runs."""


class Resolving(Struct, frozen=True):
    """The model's final names a variable, which is being read."""

    final: Final | FinalVar


class Guarding(Struct, frozen=True):
    """The auto-finalize variable is being read, to see whether the fallback code is due."""


class Compacting(Struct, frozen=True):
    """The model was asked to summarise the older turns; then the step goes on."""


class Salvaging(Struct, frozen=True):
    """The episode ends; an attempt at a best answer is under way."""

    salvage: Salvage


class Over(Struct, frozen=True):
    """The episode has finished."""


Phase = Ready | Asked | Running | FallingBack | Resolving | Guarding | Compacting | Salvaging | Over
