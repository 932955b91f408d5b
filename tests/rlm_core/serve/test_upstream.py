from __future__ import annotations

from contextlib import ExitStack

import pytest

from rlm_core.adapters.offline import OfflineAdapter
from rlm_core.errors import ConfigError
from rlm_core.models import model_name
from rlm_core.serve.profile import Profile
from rlm_core.serve.upstream import Upstream
from tests.rlm_core.adapters.chat_server import ChatServer, chat


def test_a_profile_has_its_models_at_its_own_server_with_its_own_key() -> None:
    with ChatServer(chat("yes")) as server, ExitStack() as resources:
        profile = Profile(
            model="large", sub_model="small", base_url=server.base_url, key_env="OUR_KEY"
        )
        upstream = Upstream.of(profile, resources, {"OUR_KEY": " secret-secret \n"})
        assert upstream.sub is not None
        assert (model_name(upstream.root), model_name(upstream.sub)) == ("large", "small")
        assert upstream.root.complete([{"role": "user", "content": "?"}]).text == "yes"
    assert server.requests[0].headers["Authorization"] == "Bearer secret-secret"


def test_the_environment_names_the_server_where_the_profile_does_not() -> None:
    with ChatServer(chat("yes")) as server, ExitStack() as resources:
        upstream = Upstream.of(Profile(model="m"), resources, {"LLM_BASE_URL": server.base_url})
        assert upstream.sub is None
        assert upstream.root.complete([{"role": "user", "content": "?"}]).text == "yes"


def test_the_offline_model_needs_no_server() -> None:
    with ExitStack() as resources:
        upstream = Upstream.of(Profile(model="offline"), resources, {})
        assert isinstance(upstream.root, OfflineAdapter)


@pytest.mark.parametrize(
    ("profile", "told"),
    [
        (Profile(model="m", key_env="NOT_SET"), "the variable NOT_SET is not set"),
        (Profile(model="anthropic/"), "which model"),
        (Profile(model="m", base_url="no address"), "address|URL|url"),
    ],
)
def test_a_profile_whose_models_cannot_be_had_is_refused(profile: Profile, told: str) -> None:
    with ExitStack() as resources, pytest.raises(ConfigError, match=told):
        Upstream.of(profile, resources, {})
