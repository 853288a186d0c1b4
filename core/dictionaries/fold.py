"""Other weights for the same dictionary: what a layout cannot say is folded into them."""

from dataclasses import replace

import torch
from torch import Tensor

from core.dictionaries.sparse import Norm, SparseDict
from core.spec.errors import Error
from kernels.feature_topk import COMPETING, Activation


def without_scale(found: SparseDict) -> SparseDict:
    """The same without a fixed scale on what it reads; activations stay what they were.

    norm "unit" becomes "rms", which SAELens knows: x / length is sqrt(d) times smaller.
    """
    if found.norm.kind == "scale":
        factor, norm = found.norm.scale, Norm()
    elif found.norm.kind == "unit":
        factor, norm = found.d_in**-0.5, Norm("rms")
    else:
        return found
    back = factor if not (found.transcoder and norm.kind == "rms") else 1.0
    return replace(
        found,
        W_enc=found.W_enc * factor,
        b_in=None if found.b_in is None else found.b_in / factor,
        W_dec=found.W_dec / back,
        b_out=found.b_out / back,
        norm=norm,
    )


def without_input_bias(found: SparseDict) -> SparseDict:
    """The same with nothing subtracted before encoding: the encoder's biases take it over."""
    if found.b_in is None:
        return found
    shift = found.b_in @ found.W_enc
    act = found.act
    if act.kind == "gated":
        assert act.r_mag is not None
        assert act.b_mag is not None
        act = replace(act, b_mag=act.b_mag - shift * act.r_mag.exp())
    return replace(found, b_in=None, b_enc=found.b_enc - shift, act=act)


def without_pre_scale(found: SparseDict) -> SparseDict:
    """The same with latents chosen by their activations, where that is possible."""
    if not found.pre_scale or found.act.kind in COMPETING:
        return found
    act = found.act
    if act.threshold is not None:
        act = replace(act, threshold=act.threshold / found.lengths.clamp_min(1e-30))
    return replace(found, act=act, pre_scale=False)


def with_unit_rows(found: SparseDict) -> SparseDict:
    """The same with decoder rows of length one; activations become lengths of what is written.

    Refused where it would change which latents win: a TopK that selects by activation.
    """
    if found.act.kind in COMPETING and not found.pre_scale:
        raise Error(
            f"{found.name}: latents compete by their activations, so decoder lengths cannot be "
            "folded into the encoder without changing which of them fire"
        )
    found = without_pre_scale(found)
    length = found.lengths.clamp_min(1e-30)
    return replace(
        found,
        W_enc=found.W_enc * length,
        b_enc=found.b_enc * length,
        W_dec=found.W_dec / length[:, None],
        act=_longer(found.act, length),
        pre_scale=False,
    )


def _longer(act: Activation, length: Tensor) -> Activation:
    """Thresholds and the bias of magnitudes, by latent; r_mag is a ratio and stays."""
    threshold = None if act.threshold is None else act.threshold * length
    return replace(
        act, threshold=threshold, b_mag=None if act.b_mag is None else act.b_mag * length
    )


def same_biases(found: SparseDict) -> bool:
    """Is what is subtracted first what is added last?"""
    if found.b_in is None or found.b_in.shape != found.b_out.shape:
        return False
    return bool(torch.equal(found.b_in, found.b_out))
