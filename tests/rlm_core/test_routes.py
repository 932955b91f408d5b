from __future__ import annotations

from dataclasses import asdict

from rlm_core.routes import ExecutionProfile, RouterResult
from rlm_core.trace import Trace


def test_a_result_is_plain_data() -> None:
    result = RouterResult("a", Trace([]), "rlm", ExecutionProfile.HYBRID, 10, 5)
    assert asdict(result)["method"] == "rlm"
    assert {profile.value for profile in ExecutionProfile} == {
        "deterministic_first",
        "semantic_batches",
        "hybrid",
        "verify",
    }
