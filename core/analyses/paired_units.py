"""Neurons, heads or features of two models as rows that can be multiplied: one block a layer.

Two ways to compare units of models that may share neither width nor tokenizer: by what they do at
the same places of a text, and by what they write to the tokens that both vocabularies have.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from core.analyses.feature_rows import opened_dictionary
from core.analyses.runs import TOKENS_AT_ONCE, Progress
from core.analyses.two_models import Items
from core.dictionaries.sparse import SparseDict
from core.engine.forward import run
from core.engine.readout import reading_matrix
from core.engine.rows import rows
from core.engine.writes import neuron_writes, write_matrix
from core.models.loaded import Loaded
from core.models.tokens import known_ids
from core.spec.errors import Error
from core.spec.site import STREAM, Site

UNITS = ("neuron", "head", "feature")
READ_AT_ONCE = 64_000_000  # numbers of one batch over all sites: 256 MB in float32
LEAST_FIRES = 10  # items on which a feature has to fire to be compared
LEAST_SHARED = 50  # tokens that two vocabularies need in common


@dataclass(frozen=True)
class Side:
    """The units of one model: `sites` one a layer, `each` numbers of a unit (a head's width)."""

    model: Loaded
    unit: str
    sites: tuple[Site, ...]
    n_units: int  # in a layer
    each: int
    book: SparseDict | None = None

    @property
    def n(self) -> int:
        """Units of all layers."""
        return len(self.sites) * self.n_units


def side(model: Loaded, unit: str, dictionary: str = "") -> Side:
    """The units of that kind. Raises `Error` where a model has none."""
    if unit not in UNITS:
        raise Error(f"units to match are {', '.join(UNITS)}, not {str(unit)[:20]!r}")
    if (unit == "feature") != bool(dictionary):
        raise Error(
            "features are matched with dictionary= (and with_dictionary=)"
            if unit == "feature"
            else f"dictionary= goes with unit='feature', not with {unit!r}"
        )
    if unit == "feature":
        book = opened_dictionary(model, dictionary)
        return Side(model, unit, (book.site,), book.n_features, 1, book)
    stack = model.prompt_stack
    component = "neuron" if unit == "neuron" else "head"
    layers = range(len(model.stacks[stack].blocks))
    sites = tuple(Site(layer, component, stack=stack) for layer in layers)  # type: ignore[arg-type]
    for place in sites:
        model.check(place)
    if unit == "head":
        return Side(model, unit, sites, model.n_heads, model.d_head)
    return Side(model, unit, sites, model.d_mlp, 1)


def activations(
    of: Side,
    progress: Progress,
    asked: Items,
    number: int,
    layers: Sequence[int],
    share: tuple[float, float],
    *,
    centred: bool = True,
) -> list[np.ndarray]:
    """What the units of these layers do at every item, [unit x each, item] float32, centred;
    features that hardly fire are 0.

    number  which side of the items the model is; the items are single tokens
    """
    model, chosen = of.model, [of.sites[layer] for layer in layers]
    ids, places = asked.ids[number], np.asarray(asked.at[number])
    width = 0
    found: list[np.ndarray] = []
    done = 0
    for batch in _batches(ids, _width(of) * len(chosen)):
        progress.step(
            share[0] + (share[1] - share[0]) * done / len(ids),
            f"{of.unit}s of {model.name}: text {done:,} of {len(ids):,}",
        )
        seen = run(
            model, rows(model, [ids[text] for text in batch]), read=chosen, logits="none",
            check=progress.check,
        )  # fmt: skip
        row = {text: at for at, text in enumerate(batch)}
        items = np.flatnonzero(np.isin(asked.text, batch))
        at = [row[text] for text in asked.text[items]], places[items].tolist()
        for layer, place in enumerate(chosen):
            values = seen.values[place][at[0], at[1]].float().flatten(1)
            if of.book is not None:
                with model.busy(), torch.no_grad():
                    values = of.book.encode(values)
            if len(found) <= layer:
                width = values.shape[1]
                found.append(np.zeros((width, asked.n), dtype=np.float32))
            found[layer][:, items] = values.T.cpu().numpy()
        done += len(batch)
    if of.book is not None:
        # A feature that fires on one token is alike to every other that does.
        found = [block * ((block > 0).sum(axis=1) >= LEAST_FIRES)[:, None] for block in found]
    return [block - block.mean(axis=1, keepdims=True) for block in found] if centred else found


def _width(of: Side) -> int:
    return of.book.d_in if of.book is not None else of.n_units * of.each


def _batches(ids: Sequence[Sequence[int]], width: int) -> Iterator[list[int]]:
    """Texts of like length together, in bounded memory."""
    most = max(1, min(TOKENS_AT_ONCE, READ_AT_ONCE // max(1, width)))
    batch: list[int] = []
    for text in sorted(range(len(ids)), key=lambda text: len(ids[text])):
        if batch and (len(batch) + 1) * len(ids[text]) > most:
            yield batch
            batch = []
        batch.append(text)
    if batch:
        yield batch


@dataclass(frozen=True)
class Shared:
    """What two vocabularies have in common, as products of their reading matrices.

    inner [side][side] [d_model, d_model]: over the shared tokens, centred; n of them
    """

    inner: tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]
    n: int


def shared_words(one: Loaded, two: Loaded) -> Shared:
    """Over the tokens that both vocabularies write alike. Raises `Error` for too few of them.

    The correlation of what two vectors a, b write to these tokens is a' inner b over the lengths
    sqrt(a' inner a): no [unit, d_vocab] is ever made.
    """
    for model in (one, two):
        if model.prompt_stack:
            raise Error(
                f"the encoder of {model.name} reaches predictions through the decoder only, so "
                "nothing says what its units write; match by activation"
            )
    names = [token_names(model) for model in (one, two)]
    both = sorted(set(names[0]) & set(names[1]))
    if len(both) < LEAST_SHARED:
        raise Error(
            f"{one.name} and {two.name} have {len(both)} tokens in common; comparing what units "
            f"write needs {LEAST_SHARED}, so match by activation"
        )
    read = []
    for model, own in zip((one, two), names, strict=True):
        matrix = reading_matrix(model)[[own[name] for name in both]].float().cpu()
        read.append((matrix - matrix.mean(dim=0)).double())
    a, b = read
    return Shared(((a.T @ a, a.T @ b), (b.T @ a, b.T @ b)), len(both))


def token_names(model: Loaded) -> dict[str, int]:
    """Token ids by how the token reads, blanks spelled alike, special ones left out."""
    special = set(model.tokenizer.all_special_ids)
    ids = [i for i in range(known_ids(model)) if i not in special]
    found: dict[str, int] = {}
    for i, name in zip(ids, model.tokenizer.convert_ids_to_tokens(ids), strict=True):
        # GPT-2 writes a blank as Ġ, SentencePiece as ▁.
        found.setdefault(str(name).replace("\u0120", "\u2581"), i)
    return found


def writes(of: Side, layer: int) -> Tensor:
    """What the units of a layer write to the stream, [unit x each, d_model] float64 on the CPU."""
    place = of.sites[layer]
    if of.book is not None:
        if of.book.out_site.component not in STREAM:
            raise Error(
                f"{of.book.name} writes at {of.book.out_site}, which is no part of the stream; "
                "match by activation"
            )
        found = of.book.W_dec
    elif of.unit == "neuron":
        found = neuron_writes(of.model, layer, place.stack)
    else:
        found = write_matrix(of.model, replace(place, unit=None)).flatten(0, 1)
    return found.detach().double().cpu()
