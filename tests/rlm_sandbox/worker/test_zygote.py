"""What a worker finds when it wakes up: a clean interpreter with the usual modules at hand."""

from __future__ import annotations

from rlm_sandbox import Sandbox
from rlm_sandbox.worker.zygote import PRELOADED


def test_what_is_preloaded_is_there(free_box: Sandbox) -> None:
    free_box.exec("import sys\nloaded = list(sys.modules)")
    loaded = free_box.get("loaded")
    assert isinstance(loaded, list)
    assert set(PRELOADED) <= set(loaded)


def test_no_third_party_module_and_no_path_to_one_is_there(free_box: Sandbox) -> None:
    free_box.exec("import sys\nloaded, path = list(sys.modules), list(sys.path)")
    loaded, path = free_box.get("loaded"), free_box.get("path")
    assert isinstance(loaded, list)
    assert isinstance(path, list)
    assert not {"httpx", "psutil", "pytest", "site", "rlm_core", "typing_extensions"} & set(loaded)
    assert not [folder for folder in path if "site-packages" in folder]
    assert "No module named 'psutil'" in str(free_box.exec("import psutil").error)


def test_the_interpreter_is_isolated(free_box: Sandbox) -> None:
    free_box.exec("import sys\nf = sys.flags\nflags = (f.isolated, f.no_site, f.utf8_mode)")
    assert free_box.get("flags") == (1, 1, 1)


def test_threads_are_not_inherited(free_box: Sandbox) -> None:
    free_box.exec("import threading\nn = threading.active_count()")
    assert free_box.get("n") == 1
