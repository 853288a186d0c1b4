"""From a name to a folder: what is a model, what is refused, what is fetched."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core import home
from core.home import ROOT
from core.models import memory, sources
from core.models.header import TensorInfo
from core.spec.errors import Cancelled, Error
from core.spec.request import ModelRef
from tests.core import hub

STORIES = ROOT / "tests" / "data" / "models" / "stories260k"


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two embedded models, "alpha" being the default one."""
    for name in ("alpha", "beta"):
        (tmp_path / "shelf" / name).mkdir(parents=True)
        (tmp_path / "shelf" / name / "config.json").write_text("{}")
    monkeypatch.setattr(home, "EMBEDDED", tmp_path / "shelf")
    return tmp_path / "shelf"


# --- embedded and folders -------------------------------------------------------------------


def test_embedded_models_are_found_by_name(shelf: Path) -> None:
    assert sources.resolve(ModelRef("beta")) == shelf / "beta"
    assert sources.resolve(ModelRef("embedded")).parent == shelf


def test_checkpoints_are_named_after_their_model_and_stand_in_the_order_of_their_numbers(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("checkpoints/step-200", "checkpoints/step-1000", "checkpoints/notes", "sae"):
        (shelf / "beta" / name).mkdir(parents=True)
        if "step" in name:
            (shelf / "beta" / name / "config.json").write_text("{}")
    shutil.copytree(shelf / "beta", tmp_path / "mine")
    (tmp_path / "mine" / "checkpoint-7").mkdir()
    (tmp_path / "mine" / "checkpoint-7" / "config.json").write_text("{}")
    names = ("beta/checkpoints/step-200", "beta/checkpoints/step-1000")
    assert home.checkpoint_names("beta") == names
    mine = str(tmp_path / "mine")
    assert home.checkpoint_names(f"{mine}/") == (f"{mine}/checkpoint-7", *(
        f"{mine}/checkpoints/{each}" for each in ("step-200", "step-1000")
    ))  # fmt: skip
    assert home.checkpoint_names("alpha") == home.checkpoint_names("owner/beta") == ()
    assert {home.model_of(each) for each in names} == {"beta"}
    assert home.model_of(f"{mine}/checkpoint-7") == mine
    assert home.model_of("beta") == home.model_of("owner/beta") == ""
    monkeypatch.setenv("EIDOSCOPE_HOSTED", "1")  # no folders, but what is embedded
    assert sources.resolve(ModelRef(names[0])) == shelf / "beta/checkpoints/step-200"
    assert home.checkpoint_names(mine) == ()
    with pytest.raises(Error, match="beta has no checkpoint 'beta/checkpoints/notes'; it has beta"):
        sources.resolve(ModelRef("beta/checkpoints/notes"))


def test_an_embedded_model_has_no_revision(shelf: Path) -> None:
    with pytest.raises(Error, match="beta is embedded and has no revision 'main'"):
        sources.resolve(ModelRef("beta", revision="main"))


def test_a_folder_is_found_by_every_way_to_write_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "my models" / "größe 50%"
    shutil.copytree(STORIES, folder)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (
        str(folder),
        f"{folder}/",
        "my models/größe 50%",
        "./my models/größe 50%",
        "~/my models/größe 50%",
    ):
        assert sources.resolve(ModelRef(name)) == folder


def test_a_folder_of_the_form_of_a_hub_id_is_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(STORIES, tmp_path / "owner" / "name")
    monkeypatch.chdir(tmp_path)
    assert sources.resolve(ModelRef("owner/name")) == tmp_path / "owner" / "name"


def test_what_is_no_models_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(Error, match="there is no folder '/nosuch/folder'; check the path"):
        sources.resolve(ModelRef("/nosuch/folder"))
    with pytest.raises(Error, match=r"holds no config\.json; a model's folder has"):
        sources.resolve(ModelRef(str(tmp_path)))
    (tmp_path / "file").write_text("")
    with pytest.raises(Error, match=r"is a file; give the folder that holds config\.json"):
        sources.resolve(ModelRef(str(tmp_path / "file")))
    with pytest.raises(Error, match="is a folder and has no revision 'v1'"):
        sources.resolve(ModelRef(str(STORIES), revision="v1"))


HOSTILE = [
    *("", " ", "\t", "a\0b", "a\nb", "\x1b[2Jx", "a\u202eb", "\ud800", "a\\b", "C:\\models\\x"),
    *("..", "../x", "a/../b", "/etc/../etc", "~/../x", "a/..", "./../x", "x" * 1_001),
    *("%2e%2e/x", "..%2fx", "a/b/c", "a//b", "/", "//", "file:///etc", "http://x/y", "a b/c"),
    *("-a/b", "a/-b", "a--b/c", "a/b--c", "a/b#c", "a/b?c", "a/b@main", "é/b", "a" * 97 + "/b"),
    *(
        "/dev/null",
        "/etc/passwd",
        "~nosuchuser/x",
        ".",
        "x" * 300,
        "/" + "x" * 300,
        "a/b\u200b",
        "\ufeffa/b",
    ),
]


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: ascii(name)[:24])
def test_a_hostile_name_is_a_sentence_and_opens_nothing(name: str, shelf: Path) -> None:
    with pytest.raises(Error) as caught:
        sources.resolve(ModelRef(name))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("revision", ["../x", "a b", "", "-x", "\0", "a\\b", "x" * 300, "é"])
def test_a_hostile_revision_is_a_sentence(revision: str, shelf: Path) -> None:
    with pytest.raises(Error):
        sources.resolve(ModelRef("owner/name", revision=revision))


@pytest.mark.parametrize(
    "name", [str(STORIES), "owner/name", "/nosuch", "~", ".", "tests/data/models/stories260k"]
)
def test_a_hosted_server_offers_embedded_models_only_and_tells_nothing_of_its_disk(
    name: str, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EIDOSCOPE_HOSTED", "1")
    with pytest.raises(Error, match="this server offers 'alpha', 'beta' only") as caught:
        sources.resolve(ModelRef(name))
    assert str(caught.value).startswith(f"no embedded model '{name}'")
    assert sources.resolve(ModelRef("alpha")) == shelf / "alpha"


# --- the hub --------------------------------------------------------------------------------


def test_without_network_a_hub_id_is_a_sentence() -> None:
    with pytest.raises(Error, match="owner/name is not on this machine and the network is"):
        sources.resolve(ModelRef("owner/name"))


FETCH = """
import json, sys
from core.models import memory, sources
from core.spec.errors import Error
from core.spec.request import ModelRef
answers = []
notes = []
class Progress:
    def check(self): pass
    def step(self, share, note=""): notes.append((share, note))
    def tell(self, note): notes.append((0, note))
if "small" in sys.argv[1:2]:
    memory.available = lambda device: 1_000
for name, revision in json.loads(sys.argv[2]):
    try:
        path = sources.resolve(ModelRef(name, revision), Progress())
        answers.append(sorted(file.name for file in path.iterdir()))
    except Error as error:
        answers.append(str(error))
print(json.dumps([answers, notes, "torch" in sys.modules]))
"""


def fetch(address: str, cache: Path, *names: tuple[str, str], memory: str = "large") -> Any:
    """Resolve names in a process of its own that believes `address` to be the hub."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
    environment |= {"HF_ENDPOINT": address, "HF_HOME": str(cache), "PYTHONPATH": str(ROOT)}
    environment |= {"HF_HUB_DISABLE_XET": "1", "NO_PROXY": "*"}
    done = subprocess.run(
        [sys.executable, "-c", FETCH, memory, json.dumps(names)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.fixture
def offered(tiny: Callable[[str], Path], tmp_path: Path) -> dict[str, Path]:
    """What our hub offers: one good repository with much beside it, and one of pickles."""
    good, pickles = tmp_path / "good", tmp_path / "pickles"
    shutil.copytree(tiny("llama"), good)
    for name in ("pytorch_model.bin", "code.py", "model.fp16.safetensors", "merges.txt"):
        (good / name).write_bytes(b"1")
    (good / "onnx").mkdir()
    (good / "onnx" / "config.json").write_text("{}")
    pickles.mkdir()
    (pickles / "config.json").write_text("{}")
    (pickles / "pytorch_model.bin").write_bytes(b"1")
    return {"owner/good": good, "owner/pickles": pickles}


def test_a_hub_model_is_fetched_without_pickles_and_code_and_found_again_offline(
    offered: dict[str, Path], tmp_path: Path
) -> None:
    asked: list[str] = []
    with hub.serving(offered, asked) as address:
        names = (("owner/good", ""), ("owner/pickles", ""), ("owner/nosuch", ""))
        names += (("owner/good", ""),)
        answers, notes, torch_loaded = fetch(address, tmp_path / "cache", *names)
    wanted = ["config.json", "generation_config.json", "merges.txt", "model.safetensors"]
    assert answers[0] == [*wanted, "tokenizer.json", "tokenizer_config.json"]
    assert "only 'pytorch_model.bin'; pickles can run code and are never fetched" in answers[1]
    assert answers[2] == "the hub has no model owner/nosuch that is open to you"
    assert not [line for line in asked if line.endswith((".bin", ".py", "fp16.safetensors"))]
    assert not [line for line in asked if "onnx" in line]
    assert notes[0][0] == 0
    assert notes[-1][1].startswith("fetching model.safetensors of owner/good")
    assert not torch_loaded
    assert asked.count("GET /api/models/owner/good") == 1, "asked once, then remembered"
    answers, _, _ = fetch(address, tmp_path / "cache", ("owner/good", ""), ("owner/other", ""))
    assert "model.safetensors" in answers[0]
    assert "owner/other is not on this machine and the hub cannot be reached" in answers[1]


def test_a_hub_model_that_cannot_fit_is_refused_before_it_is_fetched(
    offered: dict[str, Path], tmp_path: Path
) -> None:
    asked: list[str] = []
    with hub.serving(offered, asked) as address:
        answers, notes, _ = fetch(address, tmp_path / "cache", ("owner/good", ""), memory="small")
    assert "owner/good needs" in answers[0]
    assert "are free on cpu" in answers[0]
    assert notes == []
    # The header of the weights is asked for, as a range; no file is fetched.
    assert {line.rpartition("/")[2] for line in asked[1:]} == {"model.safetensors"}
    assert not list((tmp_path / "cache").rglob("*.safetensors"))


def test_a_cancel_is_heard_inside_a_file() -> None:
    class Stopped:
        def check(self) -> None:
            raise Cancelled

    bar = sources._listening(Stopped())(total=10, disable=True)
    with pytest.raises(Cancelled):
        bar.update(1)
    sources._listening(None)(total=10, disable=True).update(1)


# --- memory ---------------------------------------------------------------------------------


def test_needed_counts_the_loaded_type_a_tenth_more_and_the_largest_tensor() -> None:
    tensors = [TensorInfo("BF16", (1_000, 10)), TensorInfo("F32", (500,)), TensorInfo("I64", (8,))]
    assert memory.needed(tensors, "float32") == int((40_000 + 2_000 + 64) * 1.1) + 40_000
    assert memory.needed(tensors, "bfloat16") == int((20_000 + 1_000 + 64) * 1.1) + 20_000
    assert memory.needed([], "float32") == 0


def test_the_cpu_gets_float32_and_a_gpu_what_is_stored() -> None:
    assert memory.working_dtype("", "cpu", "BF16") == "float32"
    assert memory.working_dtype("", "cuda:0", "BF16") == "bfloat16"
    assert memory.working_dtype("", "cuda:0", "F64") == "float32"
    assert memory.working_dtype("float16", "cpu", "BF16") == "float16"


def test_the_limit_of_a_container_counts(tmp_path: Path) -> None:
    group = tmp_path / "outer" / "inner"
    group.mkdir(parents=True)
    for place, limit in ((group, "max"), (group.parent, "5000")):
        (place / "memory.max").write_text(f"{limit}\n")
        (place / "memory.current").write_text("3000\n")
        (place / "memory.stat").write_text("anon 1000\ninactive_file 700\n")
    own = tmp_path / "cgroup"
    own.write_text("0::/outer/inner\n")
    assert memory._container_room(tmp_path, own) == [2700]
    assert memory._container_room(tmp_path, tmp_path / "nosuch") == []


def test_what_is_free_is_more_than_nothing_and_less_than_the_machine_has() -> None:
    import psutil

    assert 0 < memory.available("cpu") <= psutil.virtual_memory().total


def test_a_refusal_names_both_numbers() -> None:
    memory.refuse_if_too_large("m", 5, "cpu", free=5)
    with pytest.raises(memory.TooLargeError, match=r"m needs 14\.2 GB of memory, 3\.1 GB are"):
        memory.refuse_if_too_large("m", 14_200_000_000, "cpu", free=3_100_000_000)


def test_a_gpu_is_asked_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    fake = SimpleNamespace(mem_get_info=lambda device: asked.append(str(device)) or (123, 456))
    monkeypatch.setattr("torch.cuda", fake)
    assert memory.available("cuda:1") == 123
    assert asked == ["cuda:1"]
