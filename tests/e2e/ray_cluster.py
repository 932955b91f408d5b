"""A program: a Ray cluster of several nodes on this machine, a batch on it, and a node killed.

    python -m tests.e2e.ray_cluster DIRECTORY BASE_URL

Says `killing` when it is about to kill a node, waits for the file `kill` in DIRECTORY, kills the
node, touches `killed`, and prints the exit code of `rlm batch` at the end.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from rlm_core.cli import main

STORE_BYTES = 100_000_000
DEADLINE = 240.0


class Killer(threading.Thread):
    """Kills a node when it is told to."""

    def __init__(self, cluster: Any, node: Any, directory: Path) -> None:
        super().__init__(daemon=True)
        self._cluster = cluster
        self._node = node
        self._directory = directory

    def run(self) -> None:
        deadline = time.monotonic() + DEADLINE
        while not (self._directory / "kill").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        self._cluster.remove_node(self._node, allow_graceful=False)
        (self._directory / "killed").touch()


def run(directory: Path, base_url: str) -> int:
    """The batch, on a cluster whose first node holds no tasks."""
    cluster_utils: Any = import_module("ray.cluster_utils")
    cluster = cluster_utils.Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "object_store_memory": STORE_BYTES},
    )
    try:
        nodes = [cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES) for _ in range(2)]
        Killer(cluster, nodes[0], directory).start()
        os.chdir(directory)
        files = ["-i", "tasks.jsonl", "-o", "results.jsonl", "--context", "vault=vault.txt"]
        model = ["--model", "m", "--base-url", base_url]
        engine = ["--engine", "ray", "--address", cluster.address, "--concurrency", "3"]
        return main(["batch", *files, *model, *engine])
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1]), sys.argv[2]))
