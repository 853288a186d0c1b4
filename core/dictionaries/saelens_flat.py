"""SAELens before version 6: one flat cfg.json, with the names of its versions."""

from typing import Any

from core.models.header import shown
from core.spec.errors import Error

_ABOUT = (
    "model_name",
    "hook_name",
    "hook_head_index",
    "hook_name_out",
    "context_size",
    "prepend_bos",
    "model_from_pretrained_kwargs",
)
_RENAMED = {
    "hook_point": "hook_name",
    "hook_point_head_index": "hook_head_index",
    "activation_fn_str": "activation_fn",
}


def is_flat(config: dict[str, Any]) -> bool:
    """Whether a cfg.json is of before version 6."""
    return not isinstance(config.get("metadata"), dict)


def nested(config: dict[str, Any]) -> dict[str, Any]:
    """The table as version 6 writes it. Raises `Error` on what that cannot say."""
    flat = {_RENAMED.get(key, key): value for key, value in config.items()}
    function = flat.get("activation_fn") or "relu"
    if function not in ("relu", "topk"):
        raise Error(f"cfg.json names the activation {shown(function)}; relu and topk can be read")
    new: dict[str, Any] = {
        "architecture": flat.get("architecture") or "standard",
        "apply_b_dec_to_input": flat.get("apply_b_dec_to_input", True),
        "normalize_activations": _norm(flat.get("normalize_activations")),
        "rescale_acts_by_decoder_norm": flat.get("rescale_acts_by_decoder_norm", False),
        "metadata": {key: flat[key] for key in _ABOUT if key in flat},
    }
    if function == "topk":
        kwargs = flat.get("activation_fn_kwargs")
        new["architecture"] = "topk"
        new["k"] = kwargs.get("k") if isinstance(kwargs, dict) else flat.get("k")
    return new


def _norm(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return "expected_average_only_in" if value else "none"
    return value
