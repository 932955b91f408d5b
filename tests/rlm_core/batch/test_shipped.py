from __future__ import annotations

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlm_core.batch.shipped import ShippedContext
from rlm_core.context import Context


@pytest.mark.parametrize("protocol", [4, 5])
@settings(max_examples=30)
@given(documents=st.lists(st.text(max_size=20), max_size=5))
def test_a_context_comes_out_as_it_went_in(documents: list[str], protocol: int) -> None:
    context = Context.from_documents(documents)
    shipped = pickle.loads(pickle.dumps(ShippedContext.of(context), protocol))
    opened = shipped.opened()
    assert opened.text == context.text
    assert list(opened.documents) == documents
    assert opened.context_type == context.context_type


def test_the_text_travels_apart_and_is_read_where_it_is() -> None:
    context = Context("x" * 1_000_000, ("x" * 1_000_000,), paths=("a.txt",))
    buffers: list[pickle.PickleBuffer] = []
    head = pickle.dumps(ShippedContext.of(context), 5, buffer_callback=buffers.append)
    assert len(head) < 1_000
    (buffer,) = buffers
    page = memoryview(bytearray(buffer.raw()))  # as if it were another process's mapping
    shipped = pickle.loads(head, buffers=[page])
    page[:1] = b"y"
    assert shipped.opened().text.startswith("yx")
    assert shipped.opened().paths == ("a.txt",)


def test_documents_that_are_no_parts_of_the_text_travel_as_they_are() -> None:
    context = Context("whole", ("other", "texts"), "document_list")
    opened = pickle.loads(pickle.dumps(ShippedContext.of(context), 5)).opened()
    assert tuple(opened.documents) == ("other", "texts")
