from __future__ import annotations

import logging
from pathlib import Path

import pytest

from rlm_core import RLM, Context, ModelResponse, Usage
from tests.rlm_core.models import Scripted

SECRET = "the secret of the text"


def logged(tmp_path: Path, caplog: pytest.LogCaptureFixture, *, enabled: bool) -> str:
    dry = ModelResponse("", Usage(100, 40, 140), meta={"finish_reason": "length"})
    model = Scripted(dry, f"x = '{SECRET}'", "words", f"FINAL: {SECRET}")
    rlm = RLM(model, cache_dir=tmp_path, rlm_diagnostics=enabled)
    with caplog.at_level(logging.DEBUG, logger="rlm_core"):
        rlm.run("Q?", Context.from_text(SECRET))
    return "\n".join(
        record.getMessage() for record in caplog.records if record.levelno == logging.DEBUG
    )


def test_sizes_and_kinds_are_logged_but_never_the_text(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = logged(tmp_path, caplog, enabled=True)
    assert text.count("root_call request_meta=") == 4
    assert text.count("root_call response_meta=") == 4
    assert "runtime_fingerprint=" in text
    assert '"detail": "empty_content_length"' in text
    assert '"detail": "prose_content"' in text
    assert SECRET not in text


def test_nothing_is_logged_unasked(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert logged(tmp_path, caplog, enabled=False) == ""
