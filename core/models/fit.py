"""Whether configuration and weights belong together: compared before and after loading."""

import re
from collections.abc import Iterable
from typing import Any

from torch import nn

from core.models.door import WeightFiles
from core.models.header import TensorInfo, shown
from core.spec.errors import Error

# Masks and angles that old files hold and that the library computes itself.
_COMPUTED = re.compile(r"(rotary_emb\.inv_freq|\.masked_bias|attn\.bias|attention\.bias|_ids)$")
# A tensor of a numbered block: when the model has no place for it, the files do not fit.
_NUMBERED = re.compile(r"\.\d+\.")
_FRESH = re.compile(r"(^|\.)pooler\.")  # not part of a checkpoint for masked words
_SLACK = 50_000_000  # elements a model may have beyond its files: heads, poolers, masks
_TOGETHER = "config.json and the weights do not belong together"


def before(shell: nn.Module, files: WeightFiles) -> None:
    """Raise `Error` when `shell`, the model without memory, is far larger than its files.

    What the files lack would be made up, so a false configuration could fill the memory.
    """
    size = sum(p.numel() for p in (*shell.parameters(), *shell.buffers()))
    if size <= 1.2 * files.parameters + _SLACK:
        return
    for name, tensor in shell.state_dict().items():
        found = _in_files(name, shell, files)
        if found is not None and found.shape != tuple(tensor.shape):
            raise Error(_shape_sentence(name, found.shape, tuple(tensor.shape), 1))
    raise Error(
        f"config.json describes {size:,} parameters, the files hold {files.parameters:,}; "
        f"{_TOGETHER}"
    )


def types(shell: nn.Module, files: WeightFiles) -> None:
    """Raise `Error` when a weight is stored as whole numbers or in a quantised type."""
    for name, parameter in shell.named_parameters():
        found = _in_files(name, shell, files)
        if found is None or not parameter.is_floating_point():
            continue
        if "F" not in found.dtype or found.dtype.startswith("F8"):
            raise Error(
                f"{shown(name)} is stored as {found.dtype}; expected F32, F16 or BF16, because "
                "quantised weights are not read. Take the original model"
            )


def has_head(shell: nn.Module, files: WeightFiles) -> bool:
    """True when the files hold any weight of what stands above the bare model."""
    prefix = f"{shell.base_model_prefix}."
    return any(name in files.tensors for name in shell.state_dict() if not name.startswith(prefix))


def _in_files(name: str, shell: nn.Module, files: WeightFiles) -> TensorInfo | None:
    """A model's tensor in the files, saved with the outermost name or without it."""
    prefix = f"{shell.base_model_prefix}."
    for choice in (name, name.removeprefix(prefix), prefix + name):
        if choice in files.tensors:
            return files.tensors[choice]
    return None


def after(report: dict[str, Any], bare: bool) -> tuple[str, ...]:
    """Judge the library's report of a load; what may be left over is returned as notes.

    `bare` means the model was loaded without a head, and its pooler may be made new.
    """
    if report.get("error_msgs"):
        raise Error(f"a tensor could not be read: {shown(str(report['error_msgs'][0]))}")
    wrong = sorted(report["mismatched_keys"])
    if wrong:
        name, found, expected = wrong[0]
        raise Error(_shape_sentence(name, tuple(found), tuple(expected), len(wrong)))
    missing = {key for key in report["missing_keys"] if not (bare and _FRESH.search(key))}
    if missing:
        raise Error(
            f"the weights lack {_listed(missing)}; the files are incomplete or of another model"
        )
    extra = {key for key in report["unexpected_keys"] if not _COMPUTED.search(key)}
    if any(_NUMBERED.search(key) and not _FRESH.search(key) for key in extra):
        raise Error(f"the files hold {_listed(extra)}, for which there is no place; {_TOGETHER}")
    return (f"not used by this model: {_listed(extra)}",) if extra else ()


def _shape_sentence(
    name: str, found: tuple[int, ...], expected: tuple[int, ...], count: int
) -> str:
    more = f" ({count} tensors differ)" if count > 1 else ""
    return (
        f"{shown(name)} has shape {list(found)} in the file, config.json asks for "
        f"{list(expected)}{more}; {_TOGETHER}"
    )


def _listed(names: Iterable[str]) -> str:
    ordered = sorted(names)
    text = ", ".join(shown(name) for name in ordered[:3])
    return text if len(ordered) <= 3 else f"{text} and {len(ordered) - 3} more tensors"
