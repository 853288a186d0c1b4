"""Unsound folders: each gets one sentence that says what is wrong with it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from core.models import library
from core.models.header import shown
from core.models.library import open_model
from core.spec.errors import Cancelled, Error
from core.spec.request import ModelRef
from tests.core.folders import change_config, change_weights, opened
from tests.tiny import make

# --- refused before loading -----------------------------------------------------------------


def test_a_model_that_cannot_fit_is_refused_with_both_numbers(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library.transformers.AutoModelForCausalLM, "from_pretrained", None)
    with pytest.raises(Error, match=r"needs 0\.\d MB of memory, 0\.\d MB are free on cpu; choose"):
        opened(folder, free=200_000)


def test_memory_is_asked_for_the_type_that_is_loaded(tmp_path: Path) -> None:
    """The weights take 116 kB as stored and 233 kB in float32."""
    folder = make("llama", tmp_path / "half", dtype="bfloat16")
    with pytest.raises(Error, match="are free on cpu"):
        opened(folder, free=250_000)
    assert opened(folder, dtype="bfloat16", free=250_000).dtype == "bfloat16"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"model_type": "nosuchfamily"}, r"knows no family 'nosuchfamily'"),
        ({"model_type": None}, r"has the model_type None; expected the name of a family"),
        ({"model_type": ["llama"]}, r"has the model_type \['llama'\]"),
        ({"model_type": "../llama"}, r"has the model_type '\.\./llama'"),
        ({"model_type": "x" * 5_000}, r"has the model_type"),
        ({"model_type": "vit"}, r"the family vit has no decoder language model"),
        ({"num_hidden_layers": 10**9}, r"claims num_hidden_layers = 1000000000, the weights are"),
        ({"num_hidden_layers": -1}, r"claims num_hidden_layers = -1"),
        ({"num_hidden_layers": 4}, r"the weights lack 'model\.layers\.3\..* and 6 more tensors"),
        ({"num_hidden_layers": 2}, r"'model\.layers\.2\..* for which there is no place"),
        ({"vocab_size": 10**15}, r"claims 'vocab_size' = 1000000000000000; no model is like"),
        ({"vocab_size": 10**9}, r"has shape \[361, 36\] in the file, config.json asks for \[1000"),
        (
            {"vocab_size": 400},
            r"'lm_head\.weight' has shape \[361, 36\] in the file, config\.json asks for "
            r"\[400, 36\] \(2 tensors differ\)",
        ),
        ({"hidden_size": 48}, r"has shape \[.*36.*\] in the file, config\.json asks for"),
        ({"intermediate_size": 57}, r"mlp\.\w+\.weight' has shape .*56.* asks for .*57"),
        ({"num_attention_heads": 5}, r"not a multiple of the number of attention heads"),
        ({"num_attention_heads": 0}, r"loading .* failed"),
        ({"hidden_size": "wide"}, r"loading .* failed: .*'hidden_size' expected int, got str"),
        ({"hidden_size": -36}, r"loading .* failed|has shape"),
        ({"hidden_act": "nosuch"}, r"loading .* failed: .*nosuch"),
        ({"rope_parameters": {"rope_type": "nosuch"}}, r"loading .* failed"),
        ({"quantization_config": {"quant_method": "gptq"}}, r"quantised weights are not read"),
        ({"transformers_weights": "adapter_model.bin"}, r"names its own weight file"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_a_false_configuration_is_named(
    fields: dict[str, Any], sentence: str, folder: Path
) -> None:
    change_config(folder, **fields)
    with pytest.raises(Error, match=sentence) as caught:
        opened(folder)
    own_name = shown(str(folder)).strip("'")  # as sentences show it, cut if long
    assert str(folder.parent) not in str(caught.value).replace(own_name, "")
    assert "eidoscope-model-" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", '"llama"', "\xff", "[" * 100_000, "null"])
def test_a_configuration_that_is_no_object_is_named(text: str, folder: Path) -> None:
    (folder / "config.json").write_text(text, encoding="latin-1")
    with pytest.raises(Error, match=r"config\.json (is not JSON|should hold a JSON object)"):
        opened(folder)


@pytest.mark.parametrize(
    "key", ["to_dict", "get_text_config", "from_pretrained", "__class__", "_name_or_path"]
)
def test_a_configuration_cannot_replace_methods(key: str, folder: Path) -> None:
    change_config(folder, **{key: "evil"})
    model = opened(folder)
    assert model.config.get_text_config().hidden_size == 36
    assert model.config.to_dict()["model_type"] == "llama"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda t: t.pop("model.layers.1.mlp.up_proj.weight"),
            r"the weights lack 'model\.layers\.1\.mlp\.up_proj\.weight'; the files are incomplete",
        ),
        (
            lambda t: t.update({"model.norm.weight": torch.ones(37)}),
            r"'model\.norm\.weight' has shape \[37\] in the file, config\.json asks for \[36\]",
        ),
        (
            lambda t: t.update({"model.norm.weight": torch.ones(36, dtype=torch.int32)}),
            r"'model\.norm\.weight' is stored as I32; expected F32, F16 or BF16",
        ),
        (
            lambda t: t.update({"model.norm.weight": torch.ones(36).to(torch.float8_e4m3fn)}),
            r"'model\.norm\.weight' is stored as F8_E4M3; expected F32",
        ),
        (
            lambda t: t.update({"model.layers.7.input_layernorm.weight": torch.ones(36)}),
            r"'model\.layers\.7\.input_layernorm\.weight', for which there is no place",
        ),
        (lambda t: [t.pop(name) for name in list(t)[5:]], r"the weights lack .* and 22 more"),
    ],
    ids=["missing", "wrong shape", "integers", "float8", "a block too many", "a few tensors only"],
)
def test_weights_that_do_not_fit_are_named(change: Any, sentence: str, folder: Path) -> None:
    change_weights(folder, change)
    with pytest.raises(Error, match=sentence):
        opened(folder)


def test_weights_of_another_model_are_refused(tiny: Callable[[str], Path], folder: Path) -> None:
    shutil.copy(tiny("gpt2") / "model.safetensors", folder)
    with pytest.raises(Error, match="the weights lack"):
        opened(folder)


# --- tokenizers -----------------------------------------------------------------------------


def test_a_folder_without_a_tokenizer_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(Error, match=r"found no tokenizer: expected one of tokenizer\.json"):
        opened(folder)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"model": 3}', '{"version": "1.0"}', "\x00"])
def test_a_broken_tokenizer_is_named(text: str, folder: Path) -> None:
    (folder / "tokenizer.json").write_text(text)
    with pytest.raises(Error, match=r"tokenizer|loading .* failed"):
        opened(folder)


def test_a_tokenizer_without_words_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").write_text("a\nb\n")
    with pytest.raises(Error, match=r"the tokenizer is empty|loading .* failed"):
        opened(folder)


def test_a_tokenizer_larger_than_the_model_is_a_note(
    tiny: Callable[[str], Path], folder: Path
) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    more = [dict(tokenizer["added_tokens"][0], id=361 + n, content=f"<{n}>") for n in range(5)]
    tokenizer["added_tokens"] += more
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert any("has 366 ids, the embedding 361 rows" in note for note in opened(folder).notes)


def test_a_class_that_splits_differently_from_its_file_is_a_note(folder: Path) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["normalizer"] = {"type": "Lowercase"}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert any("splits text differently" in note for note in opened(folder).notes)


# --- device, dtype, cancel, changes ---------------------------------------------------------


@pytest.mark.parametrize("device", ["banana", "cuda:99", "meta", "", "cpu; rm", "xla"])
def test_a_device_that_is_not_here_is_named(device: str, folder: Path) -> None:
    with pytest.raises(Error, match=r"no device "):
        open_model(ModelRef(str(folder)), device=device)


@pytest.mark.parametrize("dtype", ["int8", "float64", "float", "bfloat16 ", "__class__"])
def test_a_dtype_that_is_not_offered_is_named(dtype: str, folder: Path) -> None:
    with pytest.raises(Error, match=r"no dtype .*; there are float32, bfloat16, float16"):
        opened(folder, dtype=dtype)


def test_a_cancel_is_heard_before_the_weights_are_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped:
        def check(self) -> None:
            raise Cancelled

        def step(self, share: float, note: str = "") -> None:
            raise Cancelled

    monkeypatch.setattr(library.transformers.AutoModelForCausalLM, "from_pretrained", None)
    with pytest.raises(Cancelled):
        opened(folder, progress=Stopped())


def test_files_that_change_while_they_are_read_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def touch(*_: Any) -> tuple[str, ...]:
        (folder / "config.json").write_text((folder / "config.json").read_text() + " ")
        return ()

    monkeypatch.setattr(library.vocabulary, "check", touch)
    with pytest.raises(Error, match="changed while they were read"):
        opened(folder)


@pytest.mark.parametrize(
    "fault",
    [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes")],
    ids=["python", "torch"],
)
def test_running_out_of_memory_is_a_sentence_and_the_next_load_succeeds(
    fault: Exception, folder: Path
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise fault

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(library.transformers.AutoModelForCausalLM, "from_pretrained", fail)
        with pytest.raises(Error, match="the memory ran out while loading"):
            opened(folder)
    assert opened(folder).dtype == "float32"
