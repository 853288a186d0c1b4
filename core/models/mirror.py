"""What the model library gets to see of a model's folder: only what the door has checked.

The library reads more than weights: adapters that point elsewhere, distributed checkpoints
with pickled metadata, code named in JSON files. So it is shown a folder of our own making,
with links to the checked safetensors files under their plain names and cleaned copies of the
JSON files. What is not listed here cannot be reached by any loader.
"""

import json
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from core.models import door
from core.models.door import BESIDE, TOKENIZERS, WeightFiles
from core.models.header import shown
from core.spec.errors import Error

# Keys that choose code, files or places instead of describing the model.
_DROPPED = {
    *("auto_map", "custom_pipelines", "name_or_path", "processor_class", "use_kernels"),
    *("attn_implementation", "experts_implementation", "fusion_config", "distributed_config"),
    *("transformers_weights", "torchscript", "return_dict", "output_attentions"),
    *("output_hidden_states", "gradient_checkpointing", "id2label", "label2id", "num_labels"),
    *("problem_type", "init_inputs", "kernel_config", "gguf_file", "base_model_name_or_path"),
}
_DTYPES = ("float32", "float16", "bfloat16", "float64")
_DEPTHS = {
    *("num_hidden_layers", "num_layers", "n_layer", "n_layers", "num_decoder_layers"),
    *("encoder_layers", "decoder_layers"),
}
_TOKENIZER_CLASS = re.compile(r"\w*Tokenizer(Fast)?|TokenizersBackend|SentencePieceBackend")
MAX_SIZE = 2**40  # of any whole number in a configuration
MAX_EXPERTS = 100_000


class Mirror:
    """A temporary folder for one model. `close` removes it; the model's own files stay."""

    def __init__(self, files: WeightFiles, config: dict[str, Any]) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="eidoscope-model-"))
        try:
            self._write("config.json", clean_config(config, len(files.tensors)))
            self._weights(files)
            self._tokenizer(files.folder)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def _write(self, name: str, plain: dict[str, Any]) -> None:
        (self.path / name).write_text(json.dumps(plain), encoding="utf-8")

    def _weights(self, files: WeightFiles) -> None:
        """Links under plain names: some names make the library read pickles beside them."""
        if len(files.files) == 1:
            _link(files.files[0], self.path / door.SINGLE)
            return
        whole = len(files.files)
        names = {
            path.name: f"model-{number:05d}-of-{whole:05d}.safetensors"
            for number, path in enumerate(files.files, 1)
        }
        for path in files.files:
            _link(path, self.path / names[path.name])
        places = {tensor: names[file] for tensor, file in files.shards.items()}
        self._write(door.INDEX, {"metadata": {}, "weight_map": places})

    def _tokenizer(self, folder: Path) -> None:
        if not any((folder / name).is_file() for name in TOKENIZERS):
            raise Error(
                f"found no tokenizer: expected one of {', '.join(TOKENIZERS)}; "
                "copy the tokenizer's files into the model's folder"
            )
        for name in (*TOKENIZERS, *BESIDE):
            if (folder / name).is_file():
                if name.endswith(".json"):
                    door.read_json(folder / name)
                _link(folder / name, self.path / name)
        for name, clean in _CLEANED.items():
            if (folder / name).is_file():
                self._write(name, clean(door.read_json(folder / name)))


def _link(source: Path, target: Path) -> None:
    try:
        os.symlink(source.resolve(), target)
    except OSError:  # a system without links for everybody
        shutil.copyfile(source, target)


def clean_config(config: dict[str, Any], n_tensors: int) -> dict[str, Any]:
    """config.json without what chooses code or files; implausible sizes are refused."""
    for key in ("quantization_config", "compression_config"):
        if config.get(key):
            raise Error(
                f"config.json has a {key}: quantised weights are not read; take the original model"
            )
    if config.get("transformers_weights"):
        raise Error(
            f"config.json names its own weight file, {shown(config['transformers_weights'])}; "
            f"only {door.SINGLE} and {door.INDEX} are read"
        )
    cleaned = _clean(config)
    _check_sizes(cleaned, n_tensors)
    return cleaned


def _clean(plain: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in plain.items():
        if key in _DROPPED or key.startswith("_"):
            continue
        if key in ("dtype", "torch_dtype") and value not in _DTYPES:
            continue
        if key == "tokenizer_class" and not _is_tokenizer(value):
            continue
        kept[key] = _clean(value) if isinstance(value, dict) else value
    return kept


def _check_sizes(plain: dict[str, Any], n_tensors: int) -> None:
    for key, value in plain.items():
        if isinstance(value, dict):
            _check_sizes(value, n_tensors)
        if isinstance(value, bool) or not isinstance(value, int):
            continue
        if key in _DEPTHS and not 0 <= value <= n_tensors:
            raise Error(
                f"config.json claims {key} = {shown(value)}, the weights are {n_tensors} tensors; "
                "they do not belong together"
            )
        if abs(value) > (MAX_EXPERTS if "experts" in key else MAX_SIZE):
            raise Error(f"config.json claims {shown(key)} = {shown(value)}; no model is like that")


def _is_tokenizer(name: Any) -> bool:
    return isinstance(name, str) and bool(_TOKENIZER_CLASS.fullmatch(name))


def _clean_tokenizer_config(plain: dict[str, Any]) -> dict[str, Any]:
    """tokenizer_config.json without code, and without texts that could be read as paths."""
    kept = {}
    for key, value in _clean(plain).items():
        content = key == "chat_template" or key.endswith(("_token", "_tokens"))
        if content or not (isinstance(value, str) and set(value) & set("/\\")):
            kept[key] = value
    return {key: kept[key] for key in kept if not key.endswith(("_file", "_files", "_kwargs"))}


def _clean_special_tokens(plain: dict[str, Any]) -> dict[str, Any]:
    """special_tokens_map.json reduced to tokens; its other keys would become arguments."""
    return {key: plain[key] for key in plain if key.endswith(("_token", "_tokens"))}


def _clean_added_tokens(plain: dict[str, Any]) -> dict[str, Any]:
    """added_tokens.json reduced to texts with their ids."""
    return {text: number for text, number in plain.items() if type(number) is int}


def _clean_generation_config(plain: dict[str, Any]) -> dict[str, Any]:
    """generation_config.json reduced to the ids of the tokens that begin, end and pad."""
    return {
        key: value
        for key, value in plain.items()
        if key.endswith("_token_id")
        and all(type(number) is int for number in (value if isinstance(value, list) else [value]))
    }


_CLEANED = {
    "tokenizer_config.json": _clean_tokenizer_config,
    "special_tokens_map.json": _clean_special_tokens,
    "added_tokens.json": _clean_added_tokens,
    "generation_config.json": _clean_generation_config,
}
