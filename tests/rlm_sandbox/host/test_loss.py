"""What a caller hears of a lost process says what is left."""

from __future__ import annotations

import pytest

from rlm_sandbox import AnswerLost, SandboxError, SessionLost
from rlm_sandbox.host import loss
from rlm_sandbox.session import WorkerGone
from rlm_sandbox.verdict import Remains


@pytest.mark.parametrize(
    ("remains", "kind", "left"),
    [
        (Remains.AS_BEFORE, AnswerLost, "as before"),
        (Remains.AS_EARLIER, AnswerLost, "before the last step"),
        (Remains.NOTHING, SessionLost, "starts empty"),
    ],
)
def test_a_process_that_died_over_a_question_is_an_error_that_says_what_is_left(
    remains: Remains, kind: type[SandboxError], left: str
) -> None:
    error = loss.over_a_question(remains, WorkerGone("it was killed"))
    assert type(error) is kind
    assert left in str(error)
    assert "it was killed" in str(error)


def test_only_a_loss_is_told_later() -> None:
    assert loss.untold(Remains.ALL) is None
    assert loss.untold(Remains.AS_BEFORE) is None
    assert "before that step" in str(loss.untold(Remains.AS_EARLIER))
    assert "starts empty" in str(loss.untold(Remains.NOTHING))
