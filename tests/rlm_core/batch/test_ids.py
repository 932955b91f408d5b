from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_core.batch.ids import IdTable


@settings(max_examples=40)
@given(st.lists(st.tuples(st.text(max_size=8), st.integers(0, 2**64 - 1)), max_size=50))
def test_it_is_a_dict_from_ids_to_numbers(pairs: list[tuple[str, int]]) -> None:
    table, model = IdTable(), dict(pairs)
    for name, number in pairs:
        table.set(name, number)
    assert len(table) == len(model)
    assert {name: table.get(name) for name in model} == model
    assert all(name in table for name in model)


def test_it_grows_and_forgets_nothing() -> None:
    table = IdTable()
    for number in range(20_000):
        table.set(f"task {number}", number)
    assert len(table) == 20_000
    assert all(table.get(f"task {number}") == number for number in range(20_000))
    assert "task 20000" not in table
    assert table.get("") is None


@settings(max_examples=20)
@given(st.text())
def test_half_a_surrogate_pair_is_an_id_like_any_other(text: str) -> None:
    table = IdTable()
    table.set(text + "\ud800", 7)
    assert table.get(text + "\ud800") == 7
