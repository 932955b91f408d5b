"""The command line: `rlm ask` and what belongs to it. Everything heavy is imported when used."""

from __future__ import annotations

import os
import sys
from io import StringIO
from typing import TYPE_CHECKING, assert_never

from rlm_core.cli.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rlm_core.cli.arguments import Arguments
    from rlm_core.cli.output import Output

__all__ = ["Exit", "main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (see `Exit`); never raises for what users do."""
    from rlm_core.cli.arguments import parse
    from rlm_core.cli.output import Output, silence_broken_pipes

    arguments = parse(sys.argv[1:] if argv is None else argv)
    quiet = arguments.quiet  # and a closed stream (`>&-`) is none at all to Python
    output = Output(sys.stdout or StringIO(), sys.stderr or StringIO(), os.environ, quiet=quiet)
    try:
        return _run(arguments, output)
    except KeyboardInterrupt:
        output.error("interrupted")
        return Exit.INTERRUPTED
    except BrokenPipeError:  # whoever read the output has enough
        silence_broken_pipes()
        return Exit.ANSWERED
    except Exception as error:
        import logging

        logging.getLogger(__name__).debug("internal error", exc_info=True)
        output.error(
            f"internal error ({type(error).__name__}: {error}): please report it, with what "
            f"LLM_LOG_LEVEL=DEBUG shows"
        )
        return Exit.INTERNAL


def _run(arguments: Arguments, output: Output) -> int:
    from rlm_core.cli.arguments import (
        AskArguments,
        AuditArguments,
        BatchArguments,
        DoctorArguments,
        ServeArguments,
        TraceArguments,
    )

    match arguments:
        case AskArguments():
            from rlm_core.cli.ask import ask

            return ask(arguments, os.environ, output)
        case BatchArguments():
            from rlm_core.cli.batch import batch

            return batch(arguments, os.environ, output)
        case ServeArguments():
            from rlm_core.cli.serve import serve

            return serve(arguments, os.environ, output)
        case DoctorArguments():
            from rlm_core.cli.doctor import doctor

            return doctor(arguments, output)
        case AuditArguments():
            from rlm_core.cli.audit import run_audit

            return run_audit(arguments, output)
        case TraceArguments():
            from rlm_core.cli.trace import trace

            return trace(arguments, output)
        case _:
            assert_never(arguments)
