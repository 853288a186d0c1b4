"""Canaries: files and code that would leave a trace if anything opened or ran them.

Each is first shown to be alive: the plain library, asked to, does trip it.
"""

import json
import pickle
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from core.models import door, library, pool, sources
from core.models.library import open_model, transformers
from core.models.mirror import Mirror
from core.spec.errors import Error
from core.spec.request import ModelRef
from tests.tiny import make

PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".metadata", ".py")


class Trap:
    """A pickle that makes a file when it is opened."""

    def __init__(self, canary: Path) -> None:
        self.canary = str(canary)

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path(self.canary),)


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """A file that must not appear."""
    path = tmp_path / "canary"
    yield path
    assert not path.exists(), "something ran that must never run"


_watched: list[str] | None = None


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _watched is not None and event == "open" and isinstance(arguments[0], str | bytes | Path):
        _watched.append(str(arguments[0]))


sys.addaudithook(_audit)


@pytest.fixture
def files_opened() -> Iterator[list[str]]:
    """Every path that Python code opens during the test."""
    global _watched  # noqa: PLW0603  # an audit hook cannot be removed, only switched off
    _watched = []
    yield _watched
    _watched = None


def change(file: Path, **fields: Any) -> None:
    plain = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps({**plain, **fields}))


def through_every_loader(folder: Path) -> list[BaseException]:
    """Try to load a folder in every way there is; the faults that were met."""
    ref = ModelRef(str(folder))
    attempts: list[Callable[[], Any]] = [
        lambda: sources.resolve(ref),
        lambda: sources.config_of(folder),
        lambda: door.inspect(folder),
        lambda: door.fingerprint(folder),
        lambda: open_model(ref, device="cpu"),
        lambda: open_model(ref, device="cpu", device_map={"": "cpu"}),
        lambda: open_model(ref, device="cpu", device_map={"": "disk"}),
        *(lambda kind=kind: open_model(ref, device="cpu", kind=kind) for kind in library._AUTO),
        lambda: pool.get(ref, "cpu"),
    ]
    faults: list[BaseException] = []
    for attempt in attempts:
        try:
            attempt()
        except Error as fault:
            faults.append(fault)
    pool.release(ref)
    return faults


def test_the_pickle_is_alive(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    pickle.loads(pickle.dumps(Trap(canary)))  # noqa: S301  # the point of the test
    assert canary.exists()


def pickled(canary: Path, wrapped: bool) -> bytes:
    """The trap as a bare pickle, or as torch.save writes it (a zip archive)."""
    if not wrapped:
        return pickle.dumps(Trap(canary))
    file = canary.parent / "trap.zip"
    torch.save(Trap(canary), file)
    raw = file.read_bytes()
    file.unlink()
    return raw


BESIDE = ("pytorch_model.bin", "model.pt", "adapter_model.bin", "training_args.bin", "x.pkl")


@pytest.mark.parametrize("wrapped", [False, True], ids=["pickle", "torch"])
def test_pickles_beside_the_weights_are_never_opened(
    wrapped: bool, folder: Path, canary: Path, files_opened: list[str]
) -> None:
    for name in BESIDE:
        (folder / name).write_bytes(pickled(canary, wrapped))
    files_opened.clear()
    open_model(ModelRef(str(folder)), device="cpu")
    through_every_loader(folder)
    assert any(file.endswith("model.safetensors") for file in files_opened)
    assert [file for file in files_opened if Path(file).name in BESIDE] == []


@pytest.mark.parametrize("wrapped", [False, True], ids=["pickle", "torch"])
@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pth", "model.ckpt"])
def test_a_pickle_in_place_of_the_weights_is_never_opened(
    name: str, wrapped: bool, folder: Path, canary: Path, files_opened: list[str]
) -> None:
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(pickled(canary, wrapped))
    files_opened.clear()
    faults = through_every_loader(folder)
    assert len(faults) >= 6
    assert all("pickles can run code and are never opened" in str(fault) for fault in faults)
    assert [file for file in files_opened if file.endswith(name)] == []


@pytest.mark.parametrize("wrapped", [False, True], ids=["pickle", "torch"])
def test_a_pickle_named_safetensors_is_never_unpickled(
    wrapped: bool, folder: Path, canary: Path
) -> None:
    (folder / "model.safetensors").write_bytes(pickled(canary, wrapped))
    faults = through_every_loader(folder)
    assert len(faults) >= 6
    assert all("is a pickle under another name" in str(fault) for fault in faults)


@pytest.mark.parametrize("name", ["pytorch_model-00001-of-00001.bin", "model-1.pt"])
def test_a_pickle_in_a_sharded_index_is_never_opened(
    name: str, folder: Path, canary: Path, files_opened: list[str]
) -> None:
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(pickled(canary, wrapped=True))
    for index in ("model.safetensors.index.json", "pytorch_model.bin.index.json"):
        change(folder / index, metadata={}, weight_map={"model.norm.weight": name})
    files_opened.clear()
    assert len(through_every_loader(folder)) >= 6
    assert [file for file in files_opened if file.endswith(name)] == []


def test_metadata_of_a_distributed_checkpoint_is_never_opened(
    tmp_path: Path, canary: Path, files_opened: list[str]
) -> None:
    """Shards under certain names make the library unpickle the file `.metadata` beside them."""
    from transformers.distributed.checkpoint import is_sharded_checkpoint

    folder = make("llama", tmp_path / "distributed", shard="200KB")
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    for number, name in enumerate(sorted(set(index["weight_map"].values())), 1):
        shard = f"shard-00000-{name}"
        (folder / name).rename(folder / shard)
        assert number <= 2, "two shards are enough for the library to look for metadata"
        index["weight_map"] = {
            tensor: shard if file == name else file for tensor, file in index["weight_map"].items()
        }
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / ".metadata").write_bytes(pickled(canary, wrapped=False))
    assert is_sharded_checkpoint(folder), "the trap is set"
    files_opened.clear()
    opened = open_model(ModelRef(str(folder)), device="cpu")
    assert sum(p.numel() for p in opened.module.parameters()) == door.inspect(folder).parameters
    assert [file for file in files_opened if file.endswith(".metadata")] == []


# --- code in the folder ---------------------------------------------------------------------

CODE = """
import pathlib
pathlib.Path({canary!r}).touch()
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
class EvilConfig(LlamaConfig):
    model_type = "evil"
class EvilModel(LlamaForCausalLM):
    config_class = EvilConfig
EvilTokenizer = AutoTokenizer
def generate(*arguments, **options):
    pass
"""
AUTO_MAP = {
    "AutoConfig": "code_evil.EvilConfig",
    "AutoModel": "code_evil.EvilModel",
    "AutoModelForCausalLM": "code_evil.EvilModel",
    "AutoModelForMaskedLM": "code_evil.EvilModel",
    "AutoModelForSeq2SeqLM": "code_evil.EvilModel",
    "AutoTokenizer": ["code_evil.EvilTokenizer", "code_evil.EvilTokenizer"],
}


def with_code(folder: Path, canary: Path) -> Path:
    """Code under every name under which a loader has ever looked for it."""
    names = ("code_evil.py", "modeling_evil.py", "configuration_llama.py", "tokenization_llama.py")
    for name in (*names, "__init__.py", "setup.py", "sitecustomize.py", "generate.py"):
        (folder / name).write_text(CODE.format(canary=str(canary)))
    (folder / "custom_generate").mkdir()
    (folder / "custom_generate" / "generate.py").write_text(CODE.format(canary=str(canary)))
    return folder


def test_the_code_is_alive(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules")
    )
    monkeypatch.setattr(sys, "path", [*sys.path])
    with_code(folder, tmp_path / "canary")
    change(folder / "config.json", auto_map=AUTO_MAP, model_type="evil")
    transformers.AutoConfig.from_pretrained(folder, trust_remote_code=True)
    assert (tmp_path / "canary").exists()


@pytest.mark.parametrize("model_type", ["evil", "llama"])
def test_code_named_in_the_configuration_never_runs(
    model_type: str, folder: Path, canary: Path, files_opened: list[str]
) -> None:
    with_code(folder, canary)
    for name in ("config.json", "tokenizer_config.json", "generation_config.json"):
        change(folder / name, auto_map=AUTO_MAP)
    change(folder / "config.json", model_type=model_type, architectures=["EvilModel"])
    change(folder / "tokenizer_config.json", tokenizer_class="EvilTokenizer")
    files_opened.clear()
    faults = through_every_loader(folder)
    if model_type == "evil":
        assert any("code from a model's folder is never run" in str(fault) for fault in faults)
    else:
        opened = open_model(ModelRef(str(folder)), device="cpu")
        assert type(opened.module).__module__.startswith("transformers.")
        assert type(opened.tokenizer).__module__.startswith("transformers.")
    own = [file for file in files_opened if file.startswith(str(folder))]
    assert [file for file in own if file.endswith(PICKLED)] == []


@pytest.mark.parametrize("reference", ["other/repository--code_evil.EvilModel", "code_evil", ""])
def test_code_of_another_repository_never_runs(reference: str, folder: Path, canary: Path) -> None:
    with_code(folder, canary)
    change(folder / "config.json", auto_map=dict.fromkeys(AUTO_MAP, reference))
    change(folder / "tokenizer_config.json", auto_map=reference)
    open_model(ModelRef(str(folder)), device="cpu")


# --- names in JSON files that lead elsewhere --------------------------------------------------


@pytest.mark.parametrize(
    "name", ["GPT2Model", "AutoModelForCausalLM", "pipeline", "os.system", "", 3, ["x"], None]
)
def test_a_tokenizer_class_that_is_none_is_not_used(
    name: Any, folder: Path, canary: Path, files_opened: list[str]
) -> None:
    (folder / "pytorch_model.bin").write_bytes(pickled(canary, wrapped=True))
    change(folder / "tokenizer_config.json", tokenizer_class=name)
    change(folder / "config.json", tokenizer_class=name)
    files_opened.clear()
    opened = open_model(ModelRef(str(folder)), device="cpu")
    assert "Tokenizer" in type(opened.tokenizer).__name__
    assert [file for file in files_opened if file.endswith(".bin")] == []


PATH_KEYS = (
    *("vocab_file", "merges_file", "tokenizer_file", "name_or_path", "_name_or_path", "vocab"),
    *("special_tokens_map_file", "added_tokens_file", "chat_template_file", "spm_file", "merges"),
)


@pytest.mark.parametrize(
    "name", ["tokenizer_config.json", "special_tokens_map.json", "config.json", "added_tokens.json"]
)
@pytest.mark.parametrize("family", ["llama", "gpt2", "bert"])
def test_paths_in_json_files_are_not_followed(
    family: str,
    name: str,
    tiny: Callable[[str], Path],
    tmp_path: Path,
    files_opened: list[str],
) -> None:
    """A decoy that any tokenizer class could load lies outside the folder."""
    folder, decoy = tmp_path / "model", tmp_path / "decoy.json"
    shutil.copytree(tiny(family), folder)
    shutil.copy(tiny("gemma") / "tokenizer.json", decoy)
    change(folder / name, **dict.fromkeys(PATH_KEYS, str(decoy)))
    files_opened.clear()
    opened = open_model(ModelRef(str(folder)), device="cpu")
    text = "Tom walked to the old house."
    plain = open_model(ModelRef(str(tiny(family))), device="cpu")
    assert opened.tokenizer(text)["input_ids"] == plain.tokenizer(text)["input_ids"]
    assert [file for file in files_opened if "decoy" in file] == []


def test_an_adapter_is_not_followed(folder: Path, canary: Path, files_opened: list[str]) -> None:
    change(folder / "adapter_config.json", base_model_name_or_path="/etc", peft_type="LORA")
    (folder / "adapter_model.bin").write_bytes(pickled(canary, wrapped=True))
    files_opened.clear()
    open_model(ModelRef(str(folder)), device="cpu")
    assert [file for file in files_opened if Path(file).name.startswith("adapter")] == []
    assert [file for file in files_opened if file.startswith("/etc/")] == []


@pytest.mark.parametrize("name", ["evil/kernel", "kernels-community/flash-attn", "nosuch", 3])
def test_a_kernel_named_in_the_configuration_is_not_fetched(name: Any, folder: Path) -> None:
    change(folder / "config.json", attn_implementation=name, _attn_implementation=name)
    change(folder / "config.json", experts_implementation=name, use_kernels=True)
    opened = open_model(ModelRef(str(folder)), device="cpu")
    assert opened.config._attn_implementation in ("sdpa", "eager", None)
    assert opened.module.config._attn_implementation in ("sdpa", "eager")


def test_the_library_sees_checked_files_only(folder: Path, canary: Path) -> None:
    with_code(folder, canary)
    (folder / "pytorch_model.bin").write_bytes(pickled(canary, wrapped=True))
    change(folder / "adapter_config.json")
    mirror = Mirror(door.inspect(folder), sources.config_of(folder))
    assert {path.name for path in mirror.path.iterdir()} == {
        *("config.json", "generation_config.json", "model.safetensors"),
        *("tokenizer.json", "tokenizer_config.json"),
    }
    mirror.close()
    assert not mirror.path.exists()
    assert (folder / "model.safetensors").is_file()


@pytest.mark.parametrize("family", ["llama", "mistral", "bert", "t5"])
def test_a_folder_is_opened_without_any_network(
    family: str, tiny: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    import huggingface_hub

    asked: list[Any] = []
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: asked.append(a) or 1 / 0)
    monkeypatch.setattr(socket.socket, "connect", lambda *a, **k: asked.append(a) or 1 / 0)
    open_model(ModelRef(str(tiny(family))), device="cpu")
    assert asked == []
