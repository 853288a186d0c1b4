"""The only importer of model classes: from a folder that passed the door to a torch module."""

import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from core import home
from core.models import door, fit, manifest, memory, sources, vocabulary
from core.models.door import WeightFiles
from core.models.families import FAMILIES, Kind, row
from core.models.faults import Plainly
from core.models.header import TensorInfo, main_dtype, shown
from core.models.mirror import Mirror
from core.models.sources import Progress
from core.spec.errors import Error
from core.spec.request import ModelRef


def _import_quietly() -> Any:
    """Import transformers, with its look-out for a package `kernels` switched off.

    It would find our own folder of that name and import from it what is not there. No
    setting stops the look, so the question is answered before anything asks it.
    """
    from transformers import utils

    def never(*_: Any, **__: Any) -> bool:
        return False

    modules: tuple[Any, ...] = (utils, utils.import_utils)
    for module in modules:
        module.is_kernels_available = never
    utils.logging.set_verbosity_error()
    utils.logging.disable_progress_bar()
    import transformers

    return transformers


transformers = _import_quietly()

_AUTO: dict[Kind, str] = {
    "decoder": "AutoModelForCausalLM",
    "encoder": "AutoModelForMaskedLM",
    "encoder-decoder": "AutoModelForSeq2SeqLM",
}
# Names that are methods of a configuration; a file must not put a text in their place.
_BASE = transformers.PreTrainedConfig
_METHODS = {name for name in dir(_BASE) if name not in _BASE.__dataclass_fields__}
_METHODS -= {"model_type", "rope_scaling", "torch_dtype", "per_layer_config"}


@dataclass(frozen=True)
class Opened:
    """A module with its tokenizer, as the files describe them; nothing is proved yet.

    `device` is where inputs go; `memory_bytes` what all weights and buffers take; `seconds`
    the time from the name to this; `stamp` what `door.stamp` says of the folder.
    """

    module: nn.Module
    tokenizer: Any
    config: Any
    folder: Path
    kind: Kind
    dtype: str
    device: str
    fingerprint: str
    stamp: str
    seconds: float
    memory_bytes: int
    needed_bytes: int = 0  # estimated before loading, working room included
    free_bytes: int = 0  # what was free then
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Plan:
    """What is to be loaded and how."""

    name: str
    folder: Path
    plain: dict[str, Any]
    files: WeightFiles
    dtype: str
    device: str
    device_map: Any
    kind: Kind | None
    room: int  # bytes free on the device

    def refuse_if_too_large(self, tensors: list[TensorInfo]) -> int:
        """Bytes needed, once it is sure that they are there."""
        need = memory.needed(tensors, self.dtype)
        if self.device_map is None:
            memory.refuse_if_too_large(self.name, need, self.device, self.room)
        return need


def open_model(
    ref: ModelRef,
    *,
    device: str = "auto",
    dtype: str = "",
    device_map: Any = None,
    kind: Kind | None = None,
    progress: Progress | None = None,
    folder: Path | None = None,
    free: int | None = None,
) -> Opened:
    """Find, check and load a model.

    device      "auto" (a GPU where there is one), "cpu", "cuda", "cuda:1"
    dtype       "" as `memory.working_dtype` says, or one of its names; beats `ref.dtype`
    device_map  as the library takes it: "auto", or module -> device, "cpu" or "disk"
    folder      where `sources.resolve` found the model, if that was asked already
    free        bytes taken as available instead of asking the device

    Raises `Error` with one sentence when anything about the model is not as it should be.
    """
    began = time.perf_counter()
    target = device_name(device)
    if folder is None:
        folder = sources.resolve(ref, progress, target)
    stamp = door.stamp(folder)
    manifest.verify(folder)
    plain, files = sources.config_of(folder), door.inspect(folder)
    tensors = list(files.tensors.values())
    working = memory.working_dtype(dtype or ref.dtype, target, main_dtype(tensors))
    room = memory.available(target) if free is None else free
    name = shown(ref.name).strip("'")
    plan = _Plan(name, folder, plain, files, working, target, device_map, kind, room)
    need = plan.refuse_if_too_large(tensors)
    if progress:
        progress.check()
        progress.tell(f"{name}: {memory.words(need)} needed, {memory.words(room)} free")
    mirror = Mirror(files, plain)
    try:
        with Plainly(name, mirror.path, folder):
            opened = _open(plan, mirror, stamp)
    except BaseException:
        mirror.close()
        raise
    # Weights that stay on disk are read through the mirror for as long as the model lives.
    if "disk" in map(str, getattr(opened.module, "hf_device_map", {}).values()):
        weakref.finalize(opened.module, mirror.close)
    else:
        mirror.close()
    if door.stamp(folder) != stamp:
        raise Error(f"the files of {name} changed while they were read; load it again")
    return replace(opened, seconds=time.perf_counter() - began, needed_bytes=need, free_bytes=room)


def device_name(device: str) -> str:
    """The device in torch's words. Raises `Error` when this machine has no such device."""
    cuda = torch.cuda.is_available()
    if device == "auto":
        return "cuda:0" if cuda else "cpu"
    try:
        asked = torch.device(device)
    except RuntimeError:
        raise Error(f"no device {shown(device)}; use 'auto', 'cpu' or 'cuda'") from None
    if asked.type == "cuda":
        count = torch.cuda.device_count() if cuda else 0
        if (asked.index or 0) >= count:
            raise Error(f"no device {shown(device)}: this machine has {count} CUDA devices")
        return f"cuda:{asked.index or 0}"
    if asked.type == "mps" and torch.backends.mps.is_available():
        return "mps"
    if asked.type != "cpu":
        raise Error(f"no device {shown(device)} here; use 'auto', 'cpu' or 'cuda'")
    return "cpu"


def native(model_type: str) -> bool:
    """True when the library has its own classes for this family."""
    return model_type in transformers.CONFIG_MAPPING


def _open(plan: _Plan, mirror: Mirror, stamp: str) -> Opened:
    config = _config(door.read_json(mirror.path / "config.json"), plan.plain)
    kind = plan.kind or _kind(config)
    auto, notes = _class_and_notes(config, kind, plan)
    placed = _placement(plan)
    module, report = auto.from_pretrained(
        str(mirror.path),
        config=config,
        local_files_only=True,
        use_safetensors=True,
        trust_remote_code=False,
        dtype=getattr(torch, plan.dtype),
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # they are reported, and refused just below
        **placed,
    )
    notes += fit.after(report, bare=auto is transformers.AutoModel)
    module.eval().requires_grad_(False)
    _own_memory(module)
    tokenizer = _tokenizer(mirror.path, config)
    rows = module.get_input_embeddings().weight.shape[0]
    notes += vocabulary.check(tokenizer, mirror.path, int(rows))
    for thing in (module, config, tokenizer):
        if hasattr(thing, "name_or_path"):
            thing.name_or_path = plan.name
    return Opened(
        module=module,
        tokenizer=tokenizer,
        config=config,
        folder=plan.folder,
        kind=kind,
        dtype=plan.dtype,
        device=plan.device,
        fingerprint=door.fingerprint(plan.folder),
        stamp=stamp,
        seconds=0.0,
        memory_bytes=sum(p.nbytes for p in (*module.parameters(), *module.buffers())),
        notes=notes,
    )


def _config(cleaned: dict[str, Any], plain: Mapping[str, Any]) -> Any:
    """The library's configuration object, made of the cleaned file alone."""
    model_type = str(plain["model_type"])
    if not native(model_type):
        code = (
            f"{shown(model_type)} brings its own code, and code from a model's folder is never run"
            if "auto_map" in plain
            else f"transformers {transformers.__version__} knows no family {shown(model_type)}"
        )
        raise Error(f"{code}; take a model of a family the library has a class for")
    return transformers.CONFIG_MAPPING[model_type].from_dict(_without_methods(cleaned))


def _without_methods(plain: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_methods(value) if isinstance(value, dict) else value
        for key, value in plain.items()
        if key not in _METHODS
    }


def _kind(config: Any) -> Kind:
    """What the table says; for a family it does not know, what the configuration says."""
    if config.model_type in FAMILIES:
        return row(config.model_type)[0].kind
    if getattr(config, "is_encoder_decoder", False):
        return "encoder-decoder"
    classes = getattr(config, "architectures", None) or [""]
    return "encoder" if str(classes[0]).endswith("ForMaskedLM") else "decoder"


def _class_and_notes(config: Any, kind: Kind, plan: _Plan) -> tuple[Any, tuple[str, ...]]:
    """The class that loads this model; the model is built once without memory to compare."""
    auto = getattr(transformers, _AUTO[kind])
    if type(config) not in auto._model_mapping:
        raise Error(
            f"the family {config.model_type} has no {kind} language model in transformers "
            f"{transformers.__version__}; take a model that reads or writes text"
        )
    with torch.device("meta"):
        shell = auto.from_config(config, dtype=torch.float32)
    fit.types(shell, plan.files)
    fit.before(shell, plan.files)
    plan.refuse_if_too_large(
        [
            TensorInfo("F32" if t.is_floating_point() else "U8", tuple(t.shape))
            for t in (*shell.parameters(), *shell.buffers())
        ]
    )
    if kind == "encoder" and not fit.has_head(shell, plan.files):
        note = "the checkpoint has no masked-word head: no predictions, states only"
        return transformers.AutoModel, (note,)
    return auto, ()


def _placement(plan: _Plan) -> dict[str, Any]:
    """Where the weights go, as `from_pretrained` wants to hear it."""
    if plan.device_map is None:
        return {} if plan.device == "cpu" else {"device_map": {"": plan.device}}
    offload = home.home() / "offload" / door.fingerprint(plan.folder)[:16]
    offload.mkdir(parents=True, exist_ok=True)
    return {"device_map": plan.device_map, "offload_folder": str(offload)}


def _own_memory(module: nn.Module) -> None:
    """Copy weights that are views of the mapped file: changing or cutting it must not reach us."""
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.device.type == "cpu":
            tensor.data = tensor.data.clone()


def _tokenizer(folder: Path, config: Any) -> Any:
    return transformers.AutoTokenizer.from_pretrained(
        str(folder), config=config, local_files_only=True, trust_remote_code=False
    )
