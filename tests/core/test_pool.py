"""The pool: each model built once, the least used idle one goes, faults are not kept."""

import gc
import json
import shutil
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.models import library, memory, pool
from core.models.loaded import Loaded
from core.spec.errors import Cancelled, Error
from core.spec.request import ModelRef


@pytest.fixture(autouse=True)
def empty_pool() -> Iterator[None]:
    pool._entries.clear()
    yield
    pool._entries.clear()


@pytest.fixture
def opens(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The name of every model that is really opened."""
    seen: list[str] = []
    real = library.open_model

    def counted(ref: ModelRef, **options: Any) -> Any:
        seen.append(Path(ref.name).name)
        return real(ref, **options)

    monkeypatch.setattr(library, "open_model", counted)
    return seen


@pytest.fixture
def ref(tiny: Callable[[str], Path]) -> Callable[[str], ModelRef]:
    return lambda family: ModelRef(str(tiny(family)))


def together(count: int, work: Callable[[], Any]) -> list[Any]:
    """Run `work` in that many threads at the same moment; answers and faults alike."""
    barrier, found = threading.Barrier(count), []

    def one() -> None:
        barrier.wait()
        try:
            found.append(work())
        except (Error, Cancelled) as fault:
            found.append(fault)

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found


def test_fifty_who_ask_at_once_get_one_model_built_once(
    ref: Callable[[str], ModelRef], opens: list[str]
) -> None:
    found = together(50, lambda: pool.get(ref("llama"), "cpu"))
    assert len(found) == 50
    assert len(set(map(id, found))) == 1
    assert isinstance(found[0], Loaded)
    assert opens == ["llama"]


def test_a_fault_reaches_all_who_wait_and_is_not_kept(
    tiny: Callable[[str], Path], tmp_path: Path, opens: list[str]
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny("llama"), folder)
    tokenizer = (folder / "tokenizer.json").read_bytes()
    (folder / "tokenizer.json").unlink()
    found = together(8, lambda: pool.get(ModelRef(str(folder)), "cpu"))
    assert len(found) == 8
    assert all(isinstance(fault, Error) and "no tokenizer" in str(fault) for fault in found)
    (folder / "tokenizer.json").write_bytes(tokenizer)
    assert pool.get(ModelRef(str(folder)), "cpu").n_layers == 3


def test_a_model_whose_files_changed_is_loaded_anew(
    tiny: Callable[[str], Path], tmp_path: Path, opens: list[str]
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny("llama"), folder)
    first = pool.get(ModelRef(str(folder)), "cpu")
    assert pool.get(ModelRef(str(folder)), "cpu") is first
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 0.5}))
    second = pool.get(ModelRef(str(folder)), "cpu")
    assert second is not first
    assert second.fingerprint != first.fingerprint
    shutil.rmtree(folder)
    assert pool.get(ModelRef(str(folder)), "cpu") is second
    assert opens == ["model", "model"]


def test_dtype_and_device_map_make_another_model(ref: Callable[[str], ModelRef]) -> None:
    plain = pool.get(ref("llama"), "cpu")
    assert pool.get(ref("llama"), "cpu", dtype="bfloat16") is not plain
    assert pool.get(ref("llama"), "cpu", device_map={"": "cpu"}) is not plain
    assert pool.get(ref("llama"), "cpu") is plain


def test_the_least_recently_used_model_goes_first(ref: Callable[[str], ModelRef]) -> None:
    families = ["llama", "gpt2", "bert", "qwen2"]
    models = {family: weakref.ref(pool.get(ref(family), "cpu").module) for family in families}
    pool.get(ref("llama"), "cpu")
    pool.get(ref("gpt_neox"), "cpu")
    names = [Path(name).name for name in pool.loaded_names()]
    assert names == ["gpt_neox", "llama", "qwen2", "bert"]
    gc.collect()
    assert models["gpt2"]() is None, "what was let go is still in memory"
    assert models["llama"]() is not None


def test_a_model_in_use_stays(ref: Callable[[str], ModelRef]) -> None:
    families = ["llama", "gpt2", "bert", "qwen2"]
    oldest = pool.get(ref("llama"), "cpu")
    for family in families[1:]:
        pool.get(ref(family), "cpu")
    in_use, done = threading.Event(), threading.Event()

    def work() -> None:
        with oldest.lock:
            in_use.set()
            done.wait(60)

    thread = threading.Thread(target=work)
    thread.start()
    in_use.wait(60)
    pool.get(ref("gpt_neox"), "cpu")
    done.set()
    thread.join()
    assert [Path(name).name for name in pool.loaded_names()] == [
        *("gpt_neox", "qwen2", "bert", "llama"),
    ]


def test_idle_models_go_until_the_next_one_fits(
    ref: Callable[[str], ModelRef], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine with room for two of our models, as far as the pool can tell."""
    monkeypatch.setattr(memory, "available", lambda _: 700_000 - 250_000 * len(pool.loaded_names()))
    for family in ("qwen2", "gpt2", "smollm3"):
        pool.get(ref(family), "cpu")
    assert [Path(name).name for name in pool.loaded_names()] == ["smollm3", "gpt2"]


def test_a_model_that_never_fits_is_refused_with_both_numbers(
    ref: Callable[[str], ModelRef], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available", lambda _: 1_000)
    with pytest.raises(memory.TooLargeError, match=r"needs .* [MG]B of memory, .* [MG]B are free"):
        pool.get(ref("llama"), "cpu")
    assert pool.loaded_names() == ()


class Asker:
    """Progress that can be told to stop."""

    def __init__(self) -> None:
        self.stopped = threading.Event()

    def check(self) -> None:
        if self.stopped.is_set():
            raise Cancelled

    def step(self, share: float, note: str = "") -> None:
        self.check()

    def tell(self, note: str) -> None:
        """Nobody looks."""


def test_who_waits_can_leave_and_who_builds_can_leave_it_to_the_next(
    ref: Callable[[str], ModelRef], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The builder is stopped in the middle; of two who wait, one leaves and one gets the model."""
    real, building, go_on = library.open_model, threading.Event(), threading.Event()

    def slow(asked: ModelRef, **options: Any) -> Any:
        building.set()
        go_on.wait(60)
        options["progress"].check()
        return real(asked, **options)

    monkeypatch.setattr(library, "open_model", slow)
    askers = [Asker() for _ in range(3)]
    found: dict[int, Any] = {}

    def ask(number: int) -> None:
        try:
            found[number] = pool.get(ref("llama"), "cpu", progress=askers[number])
        except Cancelled:
            found[number] = "left"

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(3)]
    threads[0].start()
    building.wait(60)
    for thread in threads[1:]:
        thread.start()
    askers[1].stopped.set()
    threads[1].join(60)
    assert found == {1: "left"}
    askers[0].stopped.set()
    go_on.set()
    for thread in threads:
        thread.join(60)
    assert found[0] == "left"
    assert isinstance(found[2], Loaded)


def test_what_is_released_is_gone_and_can_be_had_again(
    ref: Callable[[str], ModelRef], opens: list[str]
) -> None:
    module = weakref.ref(pool.get(ref("llama"), "cpu").module)
    pool.release(ref("llama"))
    assert module() is None
    assert pool.loaded_names() == ()
    pool.release(ref("llama"))
    assert pool.get(ref("llama"), "cpu").n_layers == 3
    assert opens == ["llama", "llama"]
