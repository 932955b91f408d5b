"""The JSON schema of `--output-schema`, as a type of the answer."""

from __future__ import annotations

import json
from pathlib import Path

from rlm_core.cli.settings import UsageError

LARGEST = 1_000_000
"""Bytes of a file that is read as a schema."""


def read_schema(file: str) -> dict[str, object]:
    """The schema in a file. Raises UsageError for what cannot be read, or is no JSON object.

    What is not understood of it is found later, by `rlm_core.answer_type`.
    """
    try:
        with Path(file).open("rb") as opened:
            raw = opened.read(LARGEST + 1)
    except OSError as error:
        raise UsageError(f"--output-schema {file}: cannot be read: {error.strerror}") from error
    if len(raw) > LARGEST:
        raise UsageError(f"--output-schema {file}: larger than {LARGEST:,} bytes: no schema is")
    try:
        schema: object = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--output-schema {file}: no JSON: {error}") from error
    if not isinstance(schema, dict):
        raise UsageError(
            f'--output-schema {file}: a schema is an object, such as {{"type": "integer"}}'
        )
    return {str(name): value for name, value in schema.items()}
