from __future__ import annotations

from typing import Any

from tests.rlm_core.guest_double import TEXT, run


def test_the_text_is_seen_from_both_ends(guest: dict[str, Any]) -> None:
    assert run(guest, "out = (peek(3), tail(4), lenP())") == ("The", "end.", len(TEXT))
    assert run(guest, "out = (tail(0), peek(-1))") == ("", "")


def test_the_word_after_a_marker_is_extracted(guest: dict[str, Any]) -> None:
    assert run(guest, "out = extract_after('term is:')") == "oolong"
    assert run(guest, "out = extract_after('code:')") == "A-17"
    assert run(guest, "out = extract_after('nowhere')") is None
