"""Each type comes back as itself, anything else is refused by name, and no bytes cost much."""

from __future__ import annotations

import math
import os
import threading
import time
import tracemalloc
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_sandbox import values
from rlm_sandbox.errors import ValueRefused

CAP = 1_000_000

anything = st.characters(exclude_categories=())  # lone surrogates too
offsets = st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(timezone)
atoms = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**200), 2**200)
    | st.floats()
    | st.text(anything)
    | st.binary()
    | st.datetimes(timezones=st.none() | offsets)
)
hashables = st.recursive(
    atoms, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=4), max_leaves=6
)
plain = st.recursive(
    hashables,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.sets(hashables)
        | st.dictionaries(hashables, inner)
        | st.dictionaries(st.text(anything), inner)
    ),
    max_leaves=25,
)


def shape(value: object) -> object:
    """`value` with its types written out, so that 1, 1.0 and True differ, and NaN equals itself."""
    name = type(value).__name__
    match value:
        case float():
            return name, value.hex(), math.copysign(1, value)
        case datetime():
            return name, value.isoformat(), value.fold
        case dict():
            return name, [(shape(key), shape(item)) for key, item in value.items()]
        case list() | tuple():
            return name, [shape(item) for item in value]
        case set() | frozenset():
            return name, sorted(repr(shape(item)) for item in value)
        case _:
            return name, value


@given(plain)
def test_each_type_comes_back_as_itself(value: object) -> None:
    data = values.encode(value)
    assert shape(values.decode(data)) == shape(value)
    assert shape(values.decode_untrusted(data, CAP)) == shape(value)


@settings(max_examples=15)
@given(st.lists(plain, min_size=3, max_size=6))
def test_values_large_enough_to_be_scanned_come_back_as_themselves(items: list[object]) -> None:
    value = [items, b"x" * values.UNSCANNED_BYTES, items]
    data = values.encode(value)
    assert shape(values.decode_untrusted(data, CAP)) == shape(value)


@pytest.mark.parametrize(
    "value",
    [
        {"k" * 40 + str(number): number for number in range(500)},
        dict.fromkeys(range(1000), "v" * 40),
        {(number, "tuple"): [number] for number in range(1000)},
        {float(number): None for number in range(3000)},
        {b"b" * 300 + str(number).encode(): True for number in range(100)},
        [datetime.now(UTC)] * 1000,
        list(range(50_000)),
        {2**power for power in range(9_000)},
    ],
    ids=["long keys", "int keys", "tuple keys", "float keys", "bytes keys", "times", "list", "set"],
)
def test_large_honest_values_are_not_taken_for_hostile_ones(value: object) -> None:
    data = values.encode(value)
    assert len(data) > values.UNSCANNED_BYTES
    assert shape(values.decode_untrusted(data, 16 * 2**20)) == shape(value)


def nested(levels: int, wrap: Callable[[object], object], core: object) -> object:
    value = core
    for _ in range(levels):
        value = wrap(value)
    return value


WRAPS = {
    "list": lambda inner: [inner],
    "tuple": lambda inner: (inner,),
    "dict": lambda inner: {"k": inner},
    "odd dict": lambda inner: {(1,): inner},
}


@pytest.mark.parametrize("core", ["short", "x" * 10_000], ids=["unscanned", "scanned"])
@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS.keys())
def test_what_is_nested_as_deep_as_can_be_sent_can_be_read(
    wrap: Callable[[object], object], core: str
) -> None:
    deepest = nested(values.MAX_DEPTH, wrap, core)
    assert values.decode_untrusted(values.encode(deepest), CAP) == deepest
    with pytest.raises(ValueRefused, match="nested deeper than 100 levels"):
        values.encode(nested(values.MAX_DEPTH + 2, wrap, core))


def test_a_value_that_contains_itself_is_refused() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(ValueRefused, match="contains itself"):
        values.encode(endless)


Point = namedtuple("Point", "x y")  # noqa: PYI024 - the untyped one is common in model code


class Colour(IntEnum):
    RED = 1


class Text(str):
    pass


REFUSED = {
    "builtins.object": object(),
    "builtins.function": shape,
    "builtins.type": int,
    "builtins.module": os,
    "builtins.complex": 1j,
    "builtins.bytearray": bytearray(b"x"),
    "builtins.range": range(3),
    "datetime.date": date(2024, 1, 1),
    "decimal.Decimal": Decimal(1),
    "fractions.Fraction": Fraction(1, 2),
    "collections.OrderedDict": OrderedDict(),
    "Point": Point(1, 2),
    "Colour": Colour.RED,
    "Text": Text("x"),
    "PosixPath": Path("/"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_anything_else_is_refused_with_the_types_name(name: str) -> None:
    for value in (REFUSED[name], [1, {"deep": (REFUSED[name],)}]):
        with pytest.raises(ValueRefused, match=rf"{name} does not cross the wall; plain data does"):
            values.encode(value)


def test_a_value_beyond_the_cap_is_refused_before_it_is_sent() -> None:
    assert values.encode_capped(b"x" * 50, 100)
    with pytest.raises(ValueRefused, match=r"at most 100 cross the wall.*Limits.value_bytes"):
        values.encode_capped(b"x" * 100, 100)


def test_a_time_zone_with_rules_becomes_the_offset_it_had_then() -> None:
    there = datetime(2024, 7, 1, 12, tzinfo=ZoneInfo("UTC"))
    back = values.decode(values.encode(there))
    assert isinstance(back, datetime)
    assert (back, back.utcoffset()) == (there, timedelta(0))


# --- hostile bytes ----------------------------------------------------------------------------


@given(st.binary(max_size=400))
def test_any_bytes_give_a_value_or_are_refused(data: bytes) -> None:
    try:
        values.decode_untrusted(data, CAP)
    except ValueRefused:
        return


@settings(max_examples=30)
@given(plain, st.data())
def test_a_damaged_value_gives_a_value_or_is_refused(value: object, data: st.DataObject) -> None:
    intact = values.encode([value, "x" * values.UNSCANNED_BYTES])
    at = data.draw(st.integers(0, len(intact) - 1))
    damage = data.draw(st.binary(min_size=1, max_size=6))
    try:
        values.decode_untrusted(intact[:at] + damage + intact[at + len(damage) :], CAP)
    except ValueRefused:
        return


@given(plain, st.integers(1, 50))
def test_a_truncated_value_is_refused(value: object, missing: int) -> None:
    data = values.encode([value, "x" * 60])
    with pytest.raises(ValueRefused):
        values.decode_untrusted(data[:-missing], CAP)


def pack(code: int, body: bytes) -> bytes:
    return b"\xc9" + len(body).to_bytes(4, "big") + bytes([code]) + body


def array(count: int, body: bytes) -> bytes:
    return b"\xdd" + count.to_bytes(4, "big") + body


TUPLE, SET, FROZENSET, DICT, INT, TEXT, DATETIME = range(1, 8)
MANY = 400_000
BOMBS = {
    "a list that claims four thousand million items": array(2**32 - 1, b"\xc0" * 20_000),
    "a map that claims four thousand million pairs": b"\xdf" + b"\xff" * 4 + b"\xc0" * 20_000,
    "a million empty lists": array(MANY, b"\x90" * MANY),
    "a million empty maps": array(MANY, b"\x80" * MANY),
    "a million empty tuples": array(MANY, pack(TUPLE, b"\x90") * (MANY // 8)),
    "lists in lists": b"\x91" * MANY,
    "extensions in extensions": (b"\xc9\x00\x0f\xff\xff\x01" * 10_000),
    "a text longer than the data": b"\xdb" + b"\xff" * 4 + b"x" * 20_000,
    "an extension longer than the data": b"\xc9" + b"\xff" * 4 + b"\x01" + b"\x90" * 20_000,
    "nothing but what is never used": b"\xc1" * 20_000,
    "an extension that hides items": array(MANY, pack(INT, b"\x90" * MANY)),
    "a set of lists": pack(SET, array(10_000, b"\x90" * 10_000)),
    "an odd dict": pack(DICT, array(9_999, b"\x01" * 9_999)),
    "keys that are maps": b"\xde\x27\x10" + b"\x80\x01" * 10_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_for_little_memory(name: str) -> None:
    bomb, cap = BOMBS[name], 2**20
    assert values.UNSCANNED_BYTES < len(bomb) <= cap
    tracemalloc.start()
    try:
        with pytest.raises(ValueRefused):
            values.decode_untrusted(bomb, cap)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * cap


@pytest.mark.parametrize("item", [b"\x90", b"\x80", b"\xca\0\0\0\0", b"\xa2ab", b"\xd4\x05\x01"])
def test_the_largest_value_that_is_read_stays_within_some_times_the_cap(item: bytes) -> None:
    cap = 2**19
    count = cap // values.BYTES_A_NODE - 2
    tracemalloc.start()
    try:
        values.decode_untrusted(array(count, item * count), cap)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * cap


def colliding(count: int) -> list[int]:
    """Integers with one hash: Python takes them modulo 2**61 - 1."""
    return [7 + number * (2**61 - 1) for number in range(count)]


@pytest.mark.parametrize("among", [0, 1, 3], ids=["alone", "half", "a quarter"])
def test_keys_that_collide_end_quickly(among: int) -> None:
    keys: list[object] = [*colliding(30_000), *range(10**6, 10**6 + among * 30_000)]
    body = values.encode(keys)
    started = time.thread_time()
    for code in (SET, FROZENSET):
        with pytest.raises(ValueRefused, match="the same hash"):
            values.decode_untrusted(pack(code, body), 16 * 2**20)
    pairs = values.encode([part for key in keys for part in (key, None)])
    with pytest.raises(ValueRefused, match="the same hash"):
        values.decode_untrusted(pack(DICT, pairs), 16 * 2**20)
    assert time.thread_time() - started < 10  # unguarded: minutes


def test_keys_of_a_plain_map_cannot_collide() -> None:
    key = (
        b"\xc7\x08\x05"  # an integer of eight bytes as an extension, in a map of MessagePack's own
    )
    pairs = [key + (7 + number * (2**61 - 1)).to_bytes(8, "big") for number in range(3)]
    body = b"".join(pair + b"\xc0" for pair in pairs * 500)
    with pytest.raises(ValueRefused, match="a key of a plain map must be an atom"):
        values.decode_untrusted(b"\xdf" + (1_500).to_bytes(4, "big") + body, CAP)


def test_bytes_beyond_the_cap_are_not_looked_at() -> None:
    with pytest.raises(ValueRefused, match="at most 10 may cross"):
        values.decode_untrusted(values.encode("x" * 20), 10)


def test_too_many_small_items_are_refused_with_the_way_out() -> None:
    with pytest.raises(ValueRefused, match=r"too many small items for Limits\.value_bytes"):
        values.decode_untrusted(values.encode([0] * 100_000), 2**20)


def test_an_unknown_extension_is_refused() -> None:
    with pytest.raises(ValueRefused, match="unknown extension type 99"):
        values.decode_untrusted(msgspec.msgpack.encode(msgspec.msgpack.Ext(99, b"x")), CAP)


def test_deep_small_bytes_do_not_overflow_a_small_stack() -> None:
    deep = b"\x90"
    while len(deep) < values.UNSCANNED_BYTES - 10:
        deep = b"\x91" + b"\xc8" + len(deep).to_bytes(2, "big") + b"\x01" + deep
    seen: list[type] = []
    before = threading.stack_size(2 * 2**20)
    try:
        thread = threading.Thread(target=lambda: seen.append(refusal(deep[: 8 * 1024])))
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert seen == [ValueRefused]


def refusal(data: bytes) -> type:
    try:
        values.decode_untrusted(data, CAP)
    except ValueRefused as error:
        return type(error)
    return type(None)


@given(
    args=st.lists(st.one_of(st.integers(-(2**70), 2**70), st.text(), st.lists(st.integers()))),
    kwargs=st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
)
def test_the_arguments_of_a_call_come_back_as_a_list_and_a_dict(
    args: list[object], kwargs: dict[str, object]
) -> None:
    data = values.encode_call(tuple(args), kwargs, 1_000_000)
    assert values.decode_untrusted(data, 1_000_000) == [args, kwargs]


def test_arguments_beyond_the_cap_are_refused() -> None:
    with pytest.raises(ValueRefused, match="at most 10 cross"):
        values.encode_call(("x" * 100,), {}, 10)
