from __future__ import annotations

import hashlib

from rlm_core.digest import digest, short_digest


def test_a_digest_is_the_sha_256_of_the_text_in_utf_8() -> None:
    assert digest("na\u00efve") == hashlib.sha256("na\u00efve".encode()).hexdigest()
    assert short_digest("na\u00efve") == digest("na\u00efve")[:16]


def test_texts_that_cannot_be_said_in_utf_8_are_told_apart_too() -> None:
    assert len({digest("\ud800"), digest("\ud801"), digest("")}) == 3
