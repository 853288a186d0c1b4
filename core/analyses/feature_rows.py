"""What the features of a dictionary read and write, as directions; and the sentences for what
cannot be asked of one.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from core.dictionaries import shelf
from core.dictionaries.sparse import SparseDict
from core.engine.neuron_rows import random_rows
from core.engine.readout import norm_weight
from core.engine.writes import neuron_writes, write_matrix
from core.models.loaded import Loaded
from core.spec.errors import Error
from core.spec.site import HEADS, STREAM, Site

T = TypeVar("T")
_LIKE = 4_096  # rows whose covariance random directions are given
TINY = 1e-12


def opened_dictionary(loaded: Loaded, name: str) -> SparseDict:
    """The dictionary of that name, its place checked against the model, on the model's device.
    Raises `Error`.
    """
    found = shelf.of(loaded.dictionaries, name)
    for place in {found.site, found.out_site}:
        loaded.check(place)
    if found.W_enc.device == loaded.device:
        return found
    return once(loaded, found, "on the device", lambda: found.to(loaded.device))


def check_feature(dictionary: SparseDict, feature: Any) -> int:
    """The feature's number. Raises `Error` naming those there are."""
    whole = isinstance(feature, int) and not isinstance(feature, bool)
    if not whole or not 0 <= feature < dictionary.n_features:
        raise Error(
            f"{dictionary.name} has features 0 to {dictionary.n_features - 1:,}, "
            f"not {str(feature)[:20]}"
        )
    return int(feature)


def check_features(dictionary: SparseDict, asked: Any, most: int) -> list[int]:
    """The numbers of one feature or of several. Raises `Error`."""
    if isinstance(asked, int):
        return [check_feature(dictionary, asked)]
    if not isinstance(asked, list | tuple) or not asked:
        raise Error(f"a feature is a number, or several in a list, not {str(asked)[:20]!r}")
    if len(asked) > most:
        raise Error(f"{len(asked):,} features were asked for; at most {most} at a time")
    return [check_feature(dictionary, one) for one in asked]


def once(loaded: Loaded, dictionary: SparseDict, what: Any, make: Callable[[], T]) -> T:
    """What `make` gives, computed once for this very dictionary and kept with the model."""
    key = ("feature", dictionary.name, what)
    held = loaded.memo.get(key)
    if held is None or held[0] is not dictionary:
        held = loaded.memo[key] = (dictionary, make())
    found: T = held[1]
    return found


def feature_site(dictionary: SparseDict, feature: int) -> str:
    """Its address, `L2.resid_post.feature[name:7]`."""
    place = dictionary.site
    return str(
        Site(place.layer, place.component, feature, dictionary=dictionary.name, stack=place.stack)
    )


def unit_rows(
    dictionary: SparseDict, units: Sequence[int] | slice = slice(None)
) -> Float[Tensor, "feature d_out"]:
    """Decoder rows of length 1, [feature, d_out] float32; a row of length 0 stays 0."""
    rows = dictionary.W_dec[units].float()
    return rows / torch.linalg.vector_norm(rows, dim=1, keepdim=True).clamp_min(TINY)


def unit_columns(
    dictionary: SparseDict, units: Sequence[int] | slice = slice(None)
) -> Float[Tensor, "feature d_in"]:
    """Encoder columns of length 1 as rows, [feature, d_in] float32."""
    rows = dictionary.W_enc[:, units].float().T
    return rows / torch.linalg.vector_norm(rows, dim=1, keepdim=True).clamp_min(TINY)


def stream_rows(
    loaded: Loaded, dictionary: SparseDict, units: Sequence[int] | slice = slice(None)
) -> Float[Tensor, "feature d_model"]:
    """What features add to the stream per unit of written length, [feature, d_model] float32.

    Unit decoder rows; of a dictionary on heads or neurons taken through the matrix behind them
    (and the norm behind that, where a family has one). Normalisations are left out: they change
    the length and not the direction. Raises `Error` where no matrix leads to the stream.
    """
    rows, place = unit_rows(dictionary, units).to(loaded.device), dictionary.out_site
    if place.component in STREAM:
        if rows.shape[1] != loaded.d_model:
            raise Error(
                f"{dictionary.name} writes {rows.shape[1]:,} numbers at {place}, where the stream "
                f"of {loaded.name} has {loaded.d_model:,}"
            )
        return rows
    return rows @ _to_stream(loaded, dictionary)


def _to_stream(loaded: Loaded, dictionary: SparseDict) -> Float[Tensor, "d_out d_model"]:
    place = dictionary.out_site
    if place.component == "neuron":
        found = neuron_writes(loaded, place.layer, place.stack)
    elif place.component in HEADS:
        found = write_matrix(loaded, place.whole())
        norm = loaded.block(place).post_attn if place.component == "head" else None
        found = found if norm is None else found * norm_weight(loaded, norm)
        found = found.flatten(0, 1) if place.unit is None else found[place.unit]
    else:
        raise Error(
            f"{dictionary.name} writes at {place}, from where no single matrix leads to the "
            "stream; a lens needs a dictionary of the stream, of heads or of neurons"
        )
    if len(found) != dictionary.d_out:
        raise Error(
            f"{dictionary.name} writes {dictionary.d_out:,} numbers, {place} holds {len(found):,}"
        )
    return found


def random_directions(rows: Float[Tensor, "row width"], n: int, seed: int, *, like: bool) -> Tensor:
    """n seeded directions of length 1: in no direction more than another, or with the covariance
    of (up to 4,096 of) the rows, `like` them.
    """
    if like:
        drawn = random_rows(rows[:: max(1, len(rows) // _LIKE)], n, seed)
    else:
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randn(n, rows.shape[1], generator=generator).to(rows)
    return drawn / torch.linalg.vector_norm(drawn, dim=1, keepdim=True).clamp_min(TINY)
