"""What stands for a text in keys, names and traces."""

from __future__ import annotations

import hashlib


def digest(text: str) -> str:
    """SHA-256 in hex: 64 characters that tell a text from any other, lone surrogates or not."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def short_digest(text: str) -> str:
    """The first 16 characters of it, where a few texts are told from each other."""
    return digest(text)[:16]
