"""A dictionary's reconstruction in the place of what it reconstructs, while the model runs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from core.dictionaries.sparse import Normed, SparseDict
from core.engine.hooks import Act, acting
from core.engine.rows import Rows
from core.models.loaded import Loaded
from core.spec.site import Site
from kernels.feature_topk import Codes

Change = Callable[[Codes], Codes]


def target(dictionary: SparseDict, values: Tensor) -> Float[Tensor, "token d_out"]:
    """What the dictionary should give for the out-site's values [row, token, ...].

    One that was trained on a centred stream gives the stream without its mean over d_model.
    """
    flat = values.reshape(-1, dictionary.d_out).to(dictionary.W_dec.device).float()
    return flat - flat.mean(-1, keepdim=True) if dictionary.center else flat


def coded(dictionary: SparseDict, values: Tensor) -> tuple[Codes, Normed]:
    """The in-site's values [row, token, ...] encoded, and what the decoder needs to go back."""
    return encoded(dictionary, dictionary.flat(values))


def encoded(dictionary: SparseDict, flat: Tensor) -> tuple[Codes, Normed]:
    """The same for values that lie flat already, [token, d_in]."""
    normed = dictionary.normed(flat.to(dictionary.W_enc.device))
    return dictionary.codes_of(normed), normed


@contextmanager
def spliced(
    loaded: Loaded,
    rows: Rows,
    dictionary: SparseDict,
    keep: Bool[Tensor, "row token"],
    *,
    change: Change | None = None,
    error: bool = False,
) -> Iterator[None]:
    """Runs inside hold, where `keep`, the dictionary's reconstruction at its out-site.

    A transcoder is fed from its in-site in the same run. `change` rewrites the codes in between.
    With `error` what the dictionary misses stays in: x^(changed codes) + (x - x^(codes)), so
    that without a change nothing changes; without it the splice is pure.
    """
    read: dict[str, tuple[Codes, Normed]] = {}

    def listen(values: Tensor) -> None:
        read["here"] = coded(dictionary, values)

    def write(values: Tensor) -> Tensor:
        if not dictionary.transcoder:
            listen(values)
        codes, normed = read.pop("here")
        new = dictionary.decode(codes if change is None else change(codes), normed)
        if error:
            old = values.reshape(new.shape).to(new)
            new = old + (new - dictionary.decode(codes, normed))
        return put(values, new, keep)

    acts: dict[Site, Act] = {dictionary.out_site: write}
    if dictionary.transcoder:
        acts[dictionary.site] = listen
    with acting(loaded, rows, acts):
        yield


@contextmanager
def held_at(
    loaded: Loaded,
    rows: Rows,
    dictionary: SparseDict,
    keep: Bool[Tensor, "row token"],
    value: Float[Tensor, " d_out"],
) -> Iterator[None]:
    """Runs inside hold one and the same value at the dictionary's out-site: zero, or the mean."""

    def write(values: Tensor) -> Tensor:
        return put(values, value.expand(values.shape[0] * values.shape[1], -1), keep)

    with acting(loaded, rows, {dictionary.out_site: write}):
        yield


def put(values: Tensor, new: Tensor, keep: Tensor) -> Tensor:
    """`new` [token, d_out] in the place of values [row, token, ...] at the tokens to keep."""
    mask = keep.to(values.device).reshape(*keep.shape, *(1,) * (values.ndim - 2))
    return torch.where(mask, new.reshape(values.shape).to(values), values)
