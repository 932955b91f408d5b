from __future__ import annotations

from contextlib import ExitStack

import pytest

from rlm_core.serve.profile import Profile, Profiles
from rlm_core.serve.sandboxes import pools_for
from rlm_sandbox.errors import SandboxClosed
from tests.rlm_core.helped import is_helped


def test_profiles_that_want_the_same_share_a_pool_and_it_ends_with_the_server() -> None:
    profiles = Profiles(
        {
            "a": Profile(model="m"),
            "b": Profile(model="other"),
            "small": Profile(model="m", memory="256MiB"),
        }
    )
    with ExitStack() as resources:
        pools = pools_for(profiles, 1, resources)
        assert pools["a"] is pools["b"] is not pools["small"]
        with pools["small"].checkout() as box:
            assert is_helped(box)
            assert box.exec("print(6 * 7)").stdout == "42\n"
    with pytest.raises(SandboxClosed):
        pools["a"].checkout()
