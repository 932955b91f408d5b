"""A table from ids to small numbers that takes some 27 bytes an id, for batches of millions.

An id is kept as 64 bits of a digest: among a million ids, two differing ones look alike with a
chance of 3 in a hundred million, and then the second is reported as a duplicate; none is lost.
"""

from __future__ import annotations

import hashlib
from array import array

_EMPTY = 0
_FULLEST = 0.6  # of the slots; beyond it, runs of taken slots grow long


class IdTable:
    """Maps ids to whole numbers of 0 or more, such as line numbers. Ids can be added, not taken."""

    def __init__(self) -> None:
        self._count = 0
        self._resize(1024)

    def __len__(self) -> int:
        return self._count

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def get(self, name: str) -> int | None:
        """The number of an id, or None where it is not there."""
        key = _key(name)
        slot = self._slot(key)
        return self._numbers[slot] if self._keys[slot] == key else None

    def set(self, name: str, number: int) -> None:
        """Give an id this number, whether it is there or not."""
        self._put(_key(name), number)
        if self._count > _FULLEST * len(self._keys):
            self._grow()

    def _put(self, key: int, number: int) -> None:
        slot = self._slot(key)
        self._count += self._keys[slot] == _EMPTY
        self._keys[slot] = key
        self._numbers[slot] = number

    def _slot(self, key: int) -> int:
        """Where the key is, or the free slot where it belongs."""
        slot = key & self._mask
        while self._keys[slot] not in (_EMPTY, key):
            slot = (slot + 1) & self._mask
        return slot

    def _grow(self) -> None:
        keys, numbers = self._keys, self._numbers
        self._count = 0
        self._resize(2 * len(keys))
        for key, number in zip(keys, numbers, strict=True):
            if key != _EMPTY:
                self._put(key, number)

    def _resize(self, slots: int) -> None:
        self._keys = array("Q", bytes(8 * slots))
        self._numbers = array("Q", bytes(8 * slots))
        self._mask = slots - 1


def _key(name: str) -> int:
    digest = hashlib.blake2b(name.encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) or 1  # 0 is a free slot
