"""The question of the demonstration, over the standard library of the Python that runs this."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

QUESTION = "Which port does IMAP4 over SSL use?"
LEFT_OUT = {"site-packages", "dist-packages", "test", "tests", "__pycache__"}
RLM = [sys.executable, "-m", "rlm_core.cli"]


def main(arguments: list[str]) -> int:
    """Hand everything to `rlm ask`; without a path, ask about the standard library."""
    only_a_question = len(arguments) == 1 and not arguments[0].startswith("-")
    if arguments and not (only_a_question and sys.stdin.isatty()):
        return subprocess.run([*RLM, "ask", *arguments], check=False).returncode
    return ask_standard_library(arguments[0] if arguments else QUESTION)


def ask_standard_library(question: str) -> int:
    """Ask, and show the answer, where it was found, the isolation and the time."""
    files = source_files(Path(os.__file__).parent)
    size = sum(file.stat().st_size for file in files)
    print(f"Question:   {question}")
    print(f"Text:       {len(files)} files of Python's standard library, {size / 1e6:.1f} MB")
    began = time.monotonic()
    asked = subprocess.run(
        [*RLM, "ask", "--json", question, *map(str, files)],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if not asked.stdout:
        return asked.returncode
    result = json.loads(asked.stdout)
    answer = str(result["answer"]).replace("\n", "\n            ")
    print(f"Answer:     {answer}")
    print(f"Isolation:  {result['isolation']}")
    print(f"Time:       {time.monotonic() - began:.1f} s")
    return asked.returncode


def source_files(directory: Path) -> list[Path]:
    """The Python files below, without tests and installed packages."""
    return sorted(
        file
        for file in directory.rglob("*.py")
        if not LEFT_OUT.intersection(file.relative_to(directory).parts) and file.is_file()
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
