"""Files and directories become a context, with what there is to say about them."""

from __future__ import annotations

from dataclasses import dataclass

from rlm_core.context import DOCUMENT_SEPARATOR, Context
from rlm_core.files import read_files


@dataclass(frozen=True)
class Reading:
    """What was read, and which files of the directories were left out because they are no text."""

    context: Context
    skipped: tuple[str, ...] = ()


def read_paths(paths: object, *, separator: str = DOCUMENT_SEPARATOR) -> Reading:
    """Read files, and directories with all below them. Raises as `Context.from_paths`."""
    files = read_files(paths)
    context = Context.of_files(files.names, files.texts, alone=files.alone, separator=separator)
    return Reading(context, files.skipped)
