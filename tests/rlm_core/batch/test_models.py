from __future__ import annotations

import pickle
from contextlib import ExitStack

import pytest

from rlm_core.adapters.errors import AdapterClosed
from rlm_core.adapters.fake import FakeAdapter
from rlm_core.adapters.offline import OfflineAdapter
from rlm_core.batch.models import GivenModels, NamedModels, OfflineModels, OpenModels, Pair
from rlm_core.errors import ConfigError


def test_named_models_travel_and_are_opened_and_closed_where_they_are_used() -> None:
    named = pickle.loads(pickle.dumps(NamedModels("big", "small", "http://127.0.0.1:9/v1")))
    with OpenModels(named) as opened:
        root, sub = opened.pair.root, opened.pair.sub
        assert (getattr(root, "model", None), getattr(sub, "model", None)) == ("big", "small")
    with pytest.raises(AdapterClosed):
        root.complete([{"role": "user", "content": "x"}])


def test_a_name_that_cannot_work_is_told_when_it_is_opened() -> None:
    with pytest.raises(ConfigError, match="which model"):
        OpenModels(NamedModels("anthropic/"))


def test_the_offline_model_and_given_ones_need_no_opening() -> None:
    given = Pair(FakeAdapter())
    with ExitStack() as resources:
        assert isinstance(OfflineModels()(resources).root, OfflineAdapter)
        assert GivenModels(given)(resources) is given
