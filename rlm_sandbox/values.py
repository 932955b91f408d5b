"""Plain data across the wall: each type comes back as itself, anything else is refused by name.

None, bool, int, float, str, bytes, list, tuple, dict, set, frozenset and datetime. MessagePack has
no tuple, set, large integer, lone surrogate or time zone offset: these are extension types, whose
bodies are MessagePack again. There is no pickle in either direction.

`decode` is for bytes from the controller, `decode_untrusted` for bytes that hostile code may have
written: it bounds depth, memory (a byte can cost 64 bytes once decoded) and time (crafted keys that
collide make a dict quadratic) before anything is built.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from datetime import datetime, timedelta, timezone

import msgspec
from msgspec.msgpack import Decoder, Encoder, Ext

from rlm_sandbox.errors import ValueRefused

MAX_DEPTH = 100
UNSCANNED_BYTES = 8 * 1024
"""Below this size, hostile bytes cost less than about 0.5 MB and 20 ms: they are not scanned."""
BYTES_A_NODE = 16
"""One item for so many bytes of the cap: keeps the decoded form within about 8 x the cap."""
SMALL_SET = 1_000
COMPARISONS_A_KEY = 64
"""So many comparisons a key take a second for a million keys. The worst honest keys, powers of two,
share 61 hashes: with both constants a set may hold 10,000 of them."""

_TUPLE, _SET, _FROZENSET, _DICT, _INT, _TEXT, _DATETIME = range(1, 8)
_CONTAINERS = frozenset({_TUPLE, _SET, _FROZENSET, _DICT})

_ATOMS = frozenset({type(None), bool, int, float, str, bytes})
_SUPPORTED = "None, bool, int, float, str, bytes, list, tuple, dict, set, frozenset and datetime"

_encode = Encoder().encode


def encode(value: object) -> bytes:
    """The bytes that stand for `value`. Raises ValueRefused, naming the type that cannot cross."""
    try:
        try:
            return _encode(_plain(value, 0, exact=False))
        except (OverflowError, UnicodeEncodeError):  # a large integer or a lone surrogate is in it
            return _encode(_plain(value, 0, exact=True))
    except RecursionError:
        raise _too_deep() from None


def encode_capped(value: object, cap: int) -> bytes:
    """As `encode`, and refuses what takes more than `cap` bytes."""
    data = encode(value)
    if len(data) > cap:
        raise ValueRefused(
            f"the value takes {len(data):,} bytes; at most {cap:,} cross the wall at once "
            "(Limits.value_bytes). Send it in parts."
        )
    return data


def encode_call(args: tuple[object, ...], kwargs: dict[str, object], cap: int) -> bytes:
    """The arguments of a call, as [args, kwargs]. Raises ValueRefused."""
    if not kwargs and _ATOMS.issuperset(map(type, args)):  # most calls: in one go
        try:
            data = _encode((args, kwargs))
        except (OverflowError, UnicodeEncodeError):
            pass
        else:
            if len(data) <= cap:
                return data
    return encode_capped([list(args), kwargs], cap)


def _too_deep() -> ValueRefused:
    return ValueRefused(f"the value is nested deeper than {MAX_DEPTH} levels, or contains itself")


def _plain(value: object, depth: int, *, exact: bool) -> object:
    """`value` with every type that MessagePack lacks replaced by its extension."""
    kind = type(value)
    if kind in _ATOMS:
        return _plain_atom(value) if exact else value
    if depth > MAX_DEPTH:
        raise _too_deep()
    if kind is datetime:
        assert isinstance(value, datetime)
        return Ext(_DATETIME, _encode(_moment(value)))
    items: list[object]
    if isinstance(value, dict) and kind is dict:
        if not exact and _ATOMS.issuperset(map(type, value)):
            if _ATOMS.issuperset(map(type, value.values())):
                return value
            return {key: _plain(item, depth + 1, exact=False) for key, item in value.items()}
        items = [_plain(part, depth + 1, exact=exact) for pair in value.items() for part in pair]
        return Ext(_DICT, _encode(items))
    if isinstance(value, list | tuple | set | frozenset):
        if exact or not _ATOMS.issuperset(map(type, value)):
            items = [_plain(item, depth + 1, exact=exact) for item in value]
        else:
            items = list(value)
        if kind is list:
            return items
        code = _CODES.get(kind)
        if code is not None:
            return Ext(code, _encode(items))
    raise ValueRefused(
        f"a value of type {kind.__module__}.{kind.__qualname__} does not cross the wall; "
        f"plain data does: {_SUPPORTED}"
    )


_CODES: dict[type, int] = {tuple: _TUPLE, set: _SET, frozenset: _FROZENSET}


def _plain_atom(value: object) -> object:
    if type(value) is int and not -(2**63) <= value < 2**64:
        size = value.bit_length() // 8 + 1
        return Ext(_INT, value.to_bytes(size, "big", signed=True))
    if type(value) is str:
        try:
            value.encode()
        except UnicodeEncodeError:
            return Ext(_TEXT, value.encode("utf-8", "surrogatepass"))
    return value


def _from_extension(code: int, body: memoryview) -> object:
    if code in _CONTAINERS:
        return _container(code, _decode(body))
    if code == _INT:
        return int.from_bytes(body, "big", signed=True)
    if code == _TEXT:
        return str(body, "utf-8", "surrogatepass")
    if code == _DATETIME:
        return _datetime(*_decode_moment(body))
    raise ValueError(f"unknown extension type {code}")


_Moment = tuple[str, int, int | None]  # without zone, fold, microseconds east of UTC


def _moment(value: datetime) -> _Moment:
    """Its parts; `fromisoformat` loses the microseconds of an offset in some versions of Python."""
    offset = value.utcoffset()
    east = None if offset is None else offset // timedelta(microseconds=1)
    return value.replace(tzinfo=None, fold=0).isoformat(), value.fold, east


def _datetime(text: str, fold: int, east: int | None) -> datetime:
    zone = None if east is None else timezone(timedelta(microseconds=east))
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold)


def _container(code: int, items: object) -> object:
    if not isinstance(items, list):
        raise ValueError("an extension's body must be a list")  # noqa: TRY004 - hostile bytes
    if code == _TUPLE:
        return tuple(items)
    if code == _DICT:
        keys, values = items[::2], items[1::2]
        _refuse_collisions(keys)
        return dict(zip(keys, values, strict=True))
    _refuse_collisions(items)
    return set(items) if code == _SET else frozenset(items)


def _refuse_collisions(keys: Collection[object]) -> None:
    """Raises ValueError for keys whose hashes are equal so often that a set of them is slow.

    Every key is compared with those of its own hash before it: half the square of their number.
    """
    atoms = _ATOMS.issuperset(map(type, keys))
    if len(keys) > SMALL_SET or not atoms:
        # Comparing two tuples compares all that is in them: for those there is no allowance.
        allowed = COMPARISONS_A_KEY * len(keys) + SMALL_SET**2 * atoms
        alike = Counter(map(hash, keys)).values()
        if sum(count * count for count in alike) > allowed:
            raise ValueError("too many of its keys have the same hash")


_decode = Decoder(ext_hook=_from_extension).decode
_decode_moment = Decoder(_Moment).decode


def decode(data: bytes | memoryview) -> object:
    """The value that `encode` made these bytes of."""
    return _decode(data)


def decode_untrusted(data: bytes | memoryview, cap: int) -> object:
    """The value in hostile `data`, whose decoded form stays within a few times `cap` bytes.

    Raises ValueRefused for anything but what `encode` could have made under that cap.
    """
    if len(data) > cap:
        raise ValueRefused(f"a value of {len(data):,} bytes; at most {cap:,} may cross the wall")
    try:
        if len(data) > UNSCANNED_BYTES:
            _Scan(data, max_nodes=max(cap // BYTES_A_NODE, UNSCANNED_BYTES)).run()
        return _decode(data)
    except ValueRefused:
        raise
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, IndexError) as error:
        raise ValueRefused(f"the worker sent a value that cannot be read: {error}") from None
    except RecursionError:
        raise _too_deep() from None


class _Scan:
    """Walks the headers of a MessagePack value: counts its items, bounds its depth, builds nothing.

    Format: https://github.com/msgpack/msgpack/blob/master/spec.md
    """

    def __init__(self, data: bytes | memoryview, max_nodes: int) -> None:
        self._data = memoryview(data)
        self._at = 0
        self._nodes_left = max_nodes
        self._open: list[list[int]] = []  # [items left, 1 if keys alternate with values]

    def run(self) -> None:
        self._item()
        while self._open:
            top = self._open[-1]
            if top[0] == 0:
                self._open.pop()
                continue
            top[0] -= 1
            self._item(as_key=top[1] == 1 and top[0] % 2 == 1)

    def _number(self, size: int) -> int:
        raw = self._data[self._at : self._at + size]
        if len(raw) < size:
            raise ValueError("it ends too early")
        self._at += size
        return int.from_bytes(raw, "big")

    def _enter(self, items: int, *, pairs: bool = False) -> None:
        self._nodes_left -= items
        if self._nodes_left < 0:
            raise ValueError(
                "it holds too many small items for Limits.value_bytes: raise that, or send fewer"
            )
        if len(self._open) > 2 * MAX_DEPTH + 1:  # an extension and its list are two levels
            raise _too_deep()
        self._open.append([items, int(pairs)])

    def _item(self, *, as_key: bool = False) -> None:
        tag = self._number(1)
        if as_key and tag in _NOT_ATOMS:
            raise ValueError("a key of a plain map must be an atom")
        if tag <= 0x7F or tag >= 0xE0 or 0xC0 <= tag <= 0xC3:  # small integers, nil, booleans
            return
        if tag <= 0x8F:
            self._enter(2 * (tag & 0x0F), pairs=True)
        elif tag <= 0x9F:
            self._enter(tag & 0x0F)
        elif tag <= 0xBF:
            self._at += tag & 0x1F
        elif tag in _SIZED:
            size = self._number(_SIZED[tag])  # moves on by itself, so not in one statement with +=
            self._at += size
        elif tag in _FIXED:
            self._at += _FIXED[tag]
        elif tag in _EXTENSIONS:
            size = _EXTENSIONS[tag]
            self._extension(self._number(-size) if size < 0 else size)
        elif tag in {0xDC, 0xDD}:
            self._enter(self._number(2 if tag == 0xDC else 4))
        else:  # 0xDE, 0xDF
            self._enter(2 * self._number(2 if tag == 0xDE else 4), pairs=True)

    def _extension(self, size: int) -> None:
        if self._number(1) in _CONTAINERS:
            self._enter(1)  # its body is the next item
        else:
            self._at += size


_SIZED = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}  # bin and str: size of their length
_FIXED = {0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
# fixext 1-16 have their size here; ext 8, 16 and 32 the size of their length, negative
_EXTENSIONS = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16, 0xC7: -1, 0xC8: -2, 0xC9: -4}
_NOT_ATOMS = frozenset({*range(0x80, 0xA0), *_EXTENSIONS, *range(0xDC, 0xE0)})
