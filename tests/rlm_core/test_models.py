from __future__ import annotations

import pytest

from rlm_core.models import Models, is_cacheable, model_name
from tests.rlm_core.models import Answering, Scripted


def test_the_sub_model_is_the_root_model_unless_another_is_given() -> None:
    root, sub, named = Answering(), Answering(), Answering()
    assert Models(root).named(None) is root
    assert Models(root, sub).named(None) is sub
    assert Models(root, sub, {"fast": named}).named("fast") is named
    with pytest.raises(ValueError, match="fast"):
        Models(root, sub, {"fast": named}).named("slow")


def test_a_scripted_model_is_always_asked_and_others_may_be_cached() -> None:
    assert is_cacheable(Answering())
    assert not is_cacheable(Scripted())
    assert model_name(Scripted()) is None
