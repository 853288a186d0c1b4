"""Opening models: what a sound folder gives, and what it does not leave behind."""

import gc
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer

from core.home import ROOT
from core.models.library import open_model, transformers
from core.spec.errors import Error
from core.spec.request import ModelRef
from tests.core.folders import change_config, change_weights, opened
from tests.families.recipes import FAMILIES
from tests.tiny import make

TEXT = "Tom walked to Zürich, then he saw a cat."
STORIES = ROOT / "tests" / "data" / "models" / "stories260k"


def logits(model: Any, tokenizer: Any) -> torch.Tensor:
    ids = torch.tensor([tokenizer(TEXT)["input_ids"]])
    decoder = {"decoder_input_ids": ids[:, :3]} if model.config.is_encoder_decoder else {}
    with torch.inference_mode():
        return model(ids, **decoder).logits[0]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_opens_as_the_library_itself_would(
    family: str, tiny: Callable[[str], Path]
) -> None:
    ours = opened(tiny(family))
    theirs = getattr(transformers, FAMILIES[family].model).from_pretrained(tiny(family)).eval()
    assert torch.equal(logits(ours.module, ours.tokenizer), logits(theirs, ours.tokenizer))
    file = Tokenizer.from_file(str(tiny(family) / "tokenizer.json"))
    assert ours.tokenizer(TEXT)["input_ids"] == file.encode(TEXT).ids
    assert ours.notes == ()
    assert not ours.module.training
    assert not any(parameter.requires_grad for parameter in ours.module.parameters())
    weights = {id(p): p for p in (*theirs.parameters(), *theirs.buffers())}
    assert ours.memory_bytes == sum(p.nbytes for p in weights.values())


def test_a_model_of_somebody_else_continues_as_its_author_printed() -> None:
    model = opened(STORIES)
    ids = torch.tensor([model.tokenizer("Once upon a time, there was")["input_ids"]])
    said = model.module.generate(ids, max_new_tokens=60, do_sample=False)[0]
    assert model.tokenizer.decode(said, skip_special_tokens=True).startswith(
        "Once upon a time, there was a little girl named Lily. She loved to play outside in the "
        "park. One day, she saw a big, red ball. She wanted to play with it"
    )


def test_shards_give_the_same_model(tiny: Callable[[str], Path], tmp_path: Path) -> None:
    folder = make("llama", tmp_path / "sharded", shard="60KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 2
    whole, parts = opened(tiny("llama")), opened(folder)
    assert torch.equal(logits(whole.module, whole.tokenizer), logits(parts.module, whole.tokenizer))
    assert whole.fingerprint != parts.fingerprint


def test_half_precision_files_become_float32_on_the_cpu(tmp_path: Path) -> None:
    folder = make("llama", tmp_path / "half", dtype="bfloat16")
    assert opened(folder).dtype == "float32"
    assert {p.dtype for p in opened(folder).module.parameters()} == {torch.float32}
    asked = opened(folder, dtype="bfloat16")
    assert {p.dtype for p in asked.module.parameters()} == {torch.bfloat16}
    by_name = open_model(ModelRef(str(folder), dtype="float16"), device="cpu")
    assert next(by_name.module.parameters()).dtype == torch.float16


def test_an_old_gpt2_file_opens_without_notes(tiny: Callable[[str], Path], tmp_path: Path) -> None:
    folder = tmp_path / "old"
    shutil.copytree(tiny("gpt2"), folder)

    def as_published(tensors: dict[str, torch.Tensor]) -> None:
        for name in list(tensors):
            tensors[name.removeprefix("transformer.")] = tensors.pop(name)
        for layer in range(3):
            tensors[f"h.{layer}.attn.bias"] = torch.ones(1, 1, 64, 64).tril()

    change_weights(folder, as_published)
    old, new = opened(folder), opened(tiny("gpt2"))
    assert old.notes == ()
    assert torch.equal(logits(old.module, old.tokenizer), logits(new.module, new.tokenizer))


def test_an_encoder_without_its_head_opens_with_a_note(
    tiny: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = tmp_path / "bare"
    shutil.copytree(tiny("bert"), folder)
    change_weights(folder, lambda t: [t.pop(name) for name in list(t) if name.startswith("cls.")])
    bare = opened(folder)
    assert type(bare.module).__name__ == "BertModel"
    assert any("no masked-word head" in note for note in bare.notes)
    assert opened(tiny("bert")).notes == ()


def test_what_a_model_does_not_use_is_a_note(folder: Path) -> None:
    change_weights(folder, lambda t: t.update({"value_head.weight": torch.zeros(3)}))
    assert opened(folder).notes == ("not used by this model: 'value_head.weight'",)


def test_loading_is_silent(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    opened(folder)
    assert capfd.readouterr() == ("", "")


def test_loaded_weights_do_not_follow_the_file(folder: Path) -> None:
    """A mapped file that changes would change the model; one cut short would end the process."""
    model = opened(folder)
    before = logits(model.module, model.tokenizer)
    file = folder / "model.safetensors"
    half = file.stat().st_size // 2
    with open(file, "r+b") as stream:
        stream.seek(half)
        stream.write(b"\x11" * 1_000)
        stream.flush()
        assert torch.equal(logits(model.module, model.tokenizer), before)
        stream.truncate(half)
    assert torch.equal(logits(model.module, model.tokenizer), before)


def test_nothing_temporary_is_left(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = folder.parent / "tmp"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    opened(folder)
    change_config(folder, hidden_size=48)
    with pytest.raises(Error):
        opened(folder)
    assert list(place.iterdir()) == []


def test_a_model_split_between_cpu_and_disk_answers_alike(
    tiny: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "tmp"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    split = {"model.embed_tokens": "cpu", "model.layers.0": "cpu", "model.layers.1": "disk"}
    split |= {"model.layers.2": "disk", "model.norm": "cpu", "model.rotary_emb": "cpu"}
    part = opened(tiny("llama"), device_map={**split, "lm_head": "cpu"})
    whole = opened(tiny("llama"))
    assert part.module.get_parameter("model.layers.1.mlp.up_proj.weight").device.type == "meta"
    assert torch.equal(logits(part.module, whole.tokenizer), logits(whole.module, whole.tokenizer))
    assert part.memory_bytes == whole.memory_bytes
    assert list(place.iterdir()), "weights on disk are read through the mirror"
    del part
    gc.collect()
    assert list(place.iterdir()) == []


@pytest.mark.gpu
def test_a_gpu_gets_the_stored_type_and_the_answer_of_the_cpu(tmp_path: Path) -> None:
    folder = make("llama", tmp_path / "half", dtype="bfloat16")
    model = open_model(ModelRef(str(folder)), device="cuda")
    assert model.device == "cuda:0"
    assert {(p.dtype, p.device.type) for p in model.module.parameters()} == {
        (torch.bfloat16, "cuda")
    }
    exact = opened(folder)
    ids = torch.tensor([exact.tokenizer(TEXT)["input_ids"]])
    with torch.inference_mode():
        there, here = model.module(ids.cuda()).logits.float().cpu(), exact.module(ids).logits
    assert torch.nn.functional.cosine_similarity(there, here, dim=-1).min() > 0.99


# --- the package called kernels -------------------------------------------------------------

PRETENDER = """
    import sys
    sys.path[:0] = [{root!r}, {site!r}]
    from core.models import library
    from core.spec.request import ModelRef
    library.open_model(ModelRef({model!r}), device="cpu")
    import transformers.integrations.hub_kernels as hub
    assert not hub.is_kernels_available() and not hub._kernels_enabled
    assert "kernels" not in sys.modules, sys.modules["kernels"]
    print("sane")
"""


def test_our_folder_kernels_is_never_taken_for_the_package_of_that_name(
    tiny: Callable[[str], Path], tmp_path: Path
) -> None:
    """Also where that package's metadata is installed, which alone makes the library import it."""
    version = transformers.utils.import_utils.KERNELS_MIN_VERSION
    metadata = tmp_path / "site" / f"kernels-{version}.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text(f"Metadata-Version: 2.1\nName: kernels\nVersion: {version}\n")
    values = {"root": str(ROOT), "site": str(tmp_path / "site"), "model": str(tiny("llama"))}
    code = textwrap.dedent(PRETENDER).format(**values)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (done.stdout, done.stderr) == ("sane\n", "")
