"""What docs/serve.md shows works as it stands there."""

from __future__ import annotations

import json
import re
from pathlib import Path

from rlm_core.serve import problem
from rlm_core.serve.keys import Keys
from rlm_core.serve.profile import Profiles
from rlm_core.serve.request import read_request

PAGE = (Path(__file__).parents[3] / "docs" / "serve.md").read_text("utf-8")
PROFILES, KEYS = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


def test_the_profiles_can_be_served(tmp_path: Path) -> None:
    path = tmp_path / "serve.toml"
    path.write_text(PROFILES)
    profiles = Profiles.read(path)
    assert profiles.names() == ["fast", "gpt-4o", "deep"]
    assert profiles.by_name["fast"].policy().max_cost == 0.5
    assert profiles.by_name["deep"].recursive


def test_the_keys_can_be_used(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(KEYS)
    path.chmod(0o600)
    client = Keys.read(path).client("Bearer a long random text")
    assert client is not None
    assert (client.name, client.allowance.cost) == ("alice", 5.0)


def test_the_settings_of_a_request_are_understood() -> None:
    shown = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert shown is not None
    settings = json.loads(shown[1])["rlm"]
    settings["context"] = ["a text", "another"]
    body = {"model": "m", "messages": [{"role": "user", "content": "?"}], "rlm": settings}
    assert read_request(json.dumps(body).encode()).settings.max_steps == 10


def test_every_status_is_explained() -> None:
    kinds = [each for each in vars(problem).values() if isinstance(each, type)]
    statuses = {each.status for each in kinds if issubclass(each, problem.Problem)}
    assert all(str(status) in PAGE for status in statuses)
