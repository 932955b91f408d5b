"""Bytes on a stream to frames and back. This file knows nothing of messages or sockets.

A frame is its length in four bytes, big endian, and that many bytes. The length is checked against
the cap when its four bytes are there, so no peer can make us reserve memory: a buffer only ever
grows by bytes that have arrived.
"""

from __future__ import annotations

HEADER_BYTES = 4


class FrameTooLarge(Exception):
    """The peer announced a frame above the cap."""


def frame(payload: bytes) -> bytes:
    """`payload` with its length in front."""
    return len(payload).to_bytes(HEADER_BYTES, "big") + payload


class FrameBuffer:
    """Cuts a byte stream into frames of at most `cap` bytes."""

    __slots__ = ("_bytes", "cap")

    def __init__(self, cap: int) -> None:
        self.cap = cap
        self._bytes = bytearray()

    def feed(self, data: bytes) -> None:
        self._bytes += data

    def take(self, data: bytes) -> bytes | None:
        """`feed`, then `next_frame`; without a copy where the data is one whole frame."""
        size = len(data) - HEADER_BYTES
        whole = not self._bytes and 0 <= size <= self.cap
        if whole and int.from_bytes(data[:HEADER_BYTES], "big") == size:
            return data[HEADER_BYTES:]
        self._bytes += data
        return self.next_frame()

    def next_frame(self) -> bytes | None:
        """The next whole frame's payload, or None until more is fed. Raises FrameTooLarge."""
        held = self._bytes
        if len(held) < HEADER_BYTES:
            return None
        end = HEADER_BYTES + int.from_bytes(held[:HEADER_BYTES], "big")
        if end - HEADER_BYTES > self.cap:
            raise FrameTooLarge(
                f"a frame of {end - HEADER_BYTES} bytes; at most {self.cap} allowed"
            )
        if len(held) < end:
            return None
        payload = bytes(memoryview(held)[HEADER_BYTES:end])
        del held[:end]
        return payload

    @property
    def wanted(self) -> int:
        """Bytes still missing from the frame under way; 0 when it is not known yet."""
        if len(self._bytes) < HEADER_BYTES:
            return 0
        return HEADER_BYTES + int.from_bytes(self._bytes[:HEADER_BYTES], "big") - len(self._bytes)

    @property
    def empty(self) -> bool:
        return not self._bytes
