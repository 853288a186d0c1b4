"""The status snapshot: true numbers, nothing imported to get them."""

import os
import subprocess
import sys
import threading
from types import ModuleType, SimpleNamespace

import psutil
import pytest

from core import jobs, status
from core.store import store
from tests.core.standins import answer_to, key_of


@pytest.fixture(autouse=True)
def own_worker(monkeypatch):
    monkeypatch.setattr("core.worker._workers", {})
    yield
    assert jobs.cancel_all(10.0)


def pretend_loaded(monkeypatch, name: str, **contents) -> ModuleType:
    module = ModuleType(name)
    module.__spec__ = SimpleNamespace(_initializing=False)
    module.__dict__.update(contents)
    monkeypatch.setitem(sys.modules, name, module)
    return module


def test_the_snapshot_tells_of_this_process_and_its_folder(monkeypatch):
    monkeypatch.delenv("EIDOSCOPE_HOSTED", raising=False)
    store().put(key_of(1), answer_to(1))
    seen = status.snapshot()
    assert seen.process_bytes == pytest.approx(psutil.Process().memory_info().rss, rel=0.1)
    assert 0 < seen.available_bytes < seen.total_bytes
    assert seen.threads == threading.active_count()
    assert seen.home == os.environ["EIDOSCOPE_HOME"]
    assert not seen.hosted
    assert (seen.store.memory_entries, seen.store.disk_entries) == (1, 1)
    assert dict(seen.versions)["python"] == ".".join(map(str, sys.version_info[:3]))
    assert all(dict(seen.versions)[package] for package in status.PACKAGES)


def test_jobs_are_listed_while_they_last():
    begun, end = threading.Event(), threading.Event()
    job = jobs.run("lens on embedded", lambda progress: begun.set() or end.wait(10))
    assert begun.wait(10)
    (line,) = status.snapshot().jobs
    end.set()
    assert (line.label, line.state) == ("lens on embedded", "working")
    assert job.wait(10)
    assert status.snapshot().jobs == ()


def test_models_and_kernels_are_told_once_their_modules_are_loaded(monkeypatch):
    pool = pretend_loaded(monkeypatch, "core.models.pool", loaded_names=lambda: ["embedded"])
    lens = ("lens_topk", "reference", "no fast kernel for cpu")
    pretend_loaded(monkeypatch, "kernels.dispatch", choices=lambda: [lens])
    seen = status.snapshot()
    assert (seen.models, seen.kernels) == (("embedded",), (lens,))
    pool.__spec__._initializing = True  # another thread is in the middle of importing it
    assert status.snapshot().models == ()


def test_before_torch_is_loaded_the_device_is_said_to_be_open(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.delenv("EIDOSCOPE_DEVICE", raising=False)
    assert status.snapshot().device.startswith("chosen with the first model; ")
    monkeypatch.setenv("EIDOSCOPE_DEVICE", "cuda:1")
    assert status.snapshot().device.startswith("cuda:1 (asked for); ")
    assert status.snapshot().compute_threads == 0


def test_a_gpu_is_named_with_its_memory(monkeypatch):
    card = SimpleNamespace(name="Card X", total_memory=24 * 2**30)
    cuda = SimpleNamespace(is_available=lambda: True, get_device_properties=lambda device: card)
    pretend_loaded(monkeypatch, "torch", cuda=cuda, get_num_threads=lambda: 3)
    monkeypatch.delenv("EIDOSCOPE_DEVICE", raising=False)
    seen = status.snapshot()
    assert (seen.device, seen.compute_threads) == ("cuda: Card X, 24 GiB", 3)
    monkeypatch.setenv("EIDOSCOPE_DEVICE", "cpu")
    assert status.snapshot().device.startswith("cpu: ")


def test_looking_imports_neither_torch_nor_pandas():
    code = (
        "import sys; from core import status; status.snapshot(); "
        "print([m for m in ('torch', 'pandas', 'streamlit') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
