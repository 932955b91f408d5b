from __future__ import annotations

from rlm_core.policy import estimate_tokens as as_programs_import_it
from rlm_core.tokens import estimate_tokens


def test_tokens_are_estimated_by_four_characters() -> None:
    assert [estimate_tokens(text) for text in ("", "a", "abcdefgh")] == [0, 1, 2]


def test_programs_find_the_estimate_beside_the_policy() -> None:
    assert as_programs_import_it is estimate_tokens
