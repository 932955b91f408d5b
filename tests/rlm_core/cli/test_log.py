"""Log lines are as safe to look at as everything else."""

from __future__ import annotations

import logging
import subprocess
import sys

from rlm_core.cli.log import SafeFormatter


def test_control_characters_in_a_log_line_are_shown() -> None:
    record = logging.makeLogRecord({"msg": "answer=%s", "args": ("\x1b[31m",)})
    assert SafeFormatter("%(message)s").format(record) == "answer=\u241b[31m"


def test_the_level_decides_what_goes_to_standard_error() -> None:
    code = (
        "import logging; from rlm_core.cli.log import configure_logging; "
        "configure_logging('INFO'); logging.getLogger('rlm_core').info('told'); "
        "logging.getLogger('rlm_core').debug('not told')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "INFO rlm_core: told\n"
    assert done.stdout == ""
