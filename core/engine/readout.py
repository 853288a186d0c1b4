"""From the residual stream to logits: final norm, unembedding, scales and caps."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.models.loaded import Loaded, weight
from core.spec.errors import Error


def normed(
    loaded: Loaded, stream: Float[Tensor, "*places d_model"]
) -> Float[Tensor, "*places d_model"]:
    """The stream through the final norm, its statistics taken from the stream itself."""
    norm = loaded.stacks[""].norm
    return stream if norm is None else norm(stream)


def unembed(
    loaded: Loaded, stream: Float[Tensor, "*places d_model"]
) -> Float[Tensor, "*places d_vocab"]:
    """Logits [..., d_vocab] of stream states [..., d_model], as the model itself would say them.

    The last block's resid_post gives exactly the model's logits (a check at load).
    """
    if loaded.head is None:
        raise Error(f"{loaded.name} has no head for predictions, so there is no lens")
    return _read(loaded, normed(loaded, stream))


def direct_effect(
    loaded: Loaded,
    stream: Float[Tensor, "*places d_model"],
    shift: Float[Tensor, "*places d_model"],
) -> Float[Tensor, "*places d_vocab"]:
    """How a shift of the last resid_post changes the logits when the final norm's size is held.

    Linear in the shift, up to a cap on the logits. stream [..., d_model] is the state before the
    shift. Raises `Error` where the path to the logits is no norm and matrix.
    """
    if not reads_directly(loaded):
        raise Error(f"{loaded.name} has no plain path from the stream to its predictions")
    norm, state = loaded.stacks[""].norm, normed(loaded, stream)
    if norm is not None:
        bias = getattr(norm, "bias", None)
        plain = stream - stream.mean(-1, keepdim=True) if centres(norm) else stream
        moved = shift - shift.mean(-1, keepdim=True) if centres(norm) else shift
        weight_ = norm_weight(loaded, norm).to(stream)
        # The norm divides every coordinate by one size: told from its own answer.
        own = torch.linalg.vector_norm(plain * weight_, dim=-1, keepdim=True)
        made = torch.linalg.vector_norm(state - (0 if bias is None else bias), dim=-1, keepdim=True)
        shift = moved * weight_ * (made / own)
    return _read(loaded, state + shift) - _read(loaded, state)


def reads_directly(loaded: Loaded) -> bool:
    """Does what is written to the stream reach the logits through one norm and one matrix?"""
    after = loaded.stacks[""].blocks[0].norm_after
    return loaded.kind == "decoder" and loaded.head is not None and not after


def _read(
    loaded: Loaded, state: Float[Tensor, "*places d_model"]
) -> Float[Tensor, "*places d_vocab"]:
    """Logits of states behind the final norm: scales, unembedding, caps."""
    assert loaded.head is not None
    family, config = loaded.row, loaded.config
    if family.tied_scale and getattr(config, family.tied_scale, False):
        state = state * loaded.d_model**-0.5
    logits: Tensor = loaded.head(state)
    if family.logit_scale and getattr(config, family.logit_scale, None) is not None:
        logits = logits * getattr(config, family.logit_scale)
    if family.logit_divisor:
        logits = logits / getattr(config, family.logit_divisor)
    cap = getattr(config, family.logit_cap, None) if family.logit_cap else None
    return logits if cap is None else torch.tanh(logits / cap) * cap


def reading_matrix(loaded: Loaded) -> Float[Tensor, "d_vocab d_model"]:
    """The linear part of reading a written direction: [d_vocab, d_model] in float32.

    A direction's score for a token is `matrix @ direction`: the direction centred for
    LayerNorm models, times the final norm's effective weight, times the unembedding. No bias,
    no cap. Built once per model.
    """
    if "reading" not in loaded.memo:
        embeddings = loaded.module.get_output_embeddings()  # type: ignore[operator]
        if embeddings is None or loaded.row.head:
            raise Error(f"{loaded.name} has no plain unembedding to read directions with")
        matrix = weight(embeddings)
        assert matrix is not None
        norm = loaded.stacks[""].norm
        if norm is not None:
            matrix = matrix * norm_weight(loaded, norm)
            if centres(norm):
                matrix = matrix - matrix.mean(dim=1, keepdim=True)
        loaded.memo["reading"] = matrix
    reading: Tensor = loaded.memo["reading"]
    return reading


def norm_weight(loaded: Loaded, norm: nn.Module) -> Float[Tensor, " d_model"]:
    """Effective weight of a norm [d_model]: Gemma stores it minus one."""
    value = weight(norm)
    if value is None:
        return torch.ones(loaded.d_model, device=loaded.device)
    return value + loaded.row.norm_offset


def centres(norm: nn.Module) -> bool:
    """LayerNorm removes the mean, RMSNorm does not; told by behaviour, not by name."""
    probe = torch.ones(1, _width(norm))
    parameter = next(norm.parameters(), None)
    if parameter is not None:
        probe = probe.to(device=parameter.device, dtype=parameter.dtype)
    bias = getattr(norm, "bias", None)
    with torch.inference_mode():
        answer = norm(probe)
    return bool((answer - (0 if bias is None else bias)).abs().max() < 1e-2)


def _width(norm: nn.Module) -> int:
    parameter = next(norm.parameters(), None)
    if parameter is not None:
        return int(parameter.shape[0])
    return int(norm.normalized_shape[0])  # type: ignore[index]
