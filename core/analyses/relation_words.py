"""The two sides of relations as vectors: states at every layer, and rows of the unembedding."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from core.analyses.clouds import FLAT, prepared
from core.analyses.item_states import ItemStates, set_states
from core.analyses.offsets import without
from core.analyses.runs import Progress
from core.analyses.whitening import Unembedding, unembedding
from core.concept_sets import asked
from core.models.loaded import Loaded
from core.models.tokens import known_ids, pieces
from core.models.words import in_text
from core.spec.concept_set import ConceptSet, short
from core.spec.errors import Error

LEAST_PAIRS = 3
DISTRACTORS = ("pieces", "characters", "frequency", "capital")
ABOUT = {
    "pieces": "tokens of the word",
    "characters": "characters of its last token",
    "frequency": "log of its first token's number, which grows with rarity",
    "capital": "whether it begins with a capital",
}


@dataclass(frozen=True)
class Relations:
    """Relations of a set whose words were read, and where their vectors come from.

    pair       [pair, 2] numbers of words, the pairs of a relation together
    label      [pair] number of the relation
    covariate  [word, distractor] of `DISTRACTORS`
    rows       names of the rows of the depth axis: layers, then "unembedding" where there is one
    """

    given: ConceptSet
    names: tuple[str, ...]
    seen: ItemStates
    pair: np.ndarray
    label: np.ndarray
    covariate: np.ndarray
    rows: tuple[str, ...]
    out: np.ndarray  # [word] token of the unembedding, -1 for a word of several
    table: Unembedding | None
    project_out: tuple[str, ...]
    prepare: str
    notes: tuple[str, ...]

    @property
    def words(self) -> tuple[str, ...]:
        return self.seen.words

    def vectors(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """([word, d] float64, which words have a vector there), prepared and projected."""
        if self.rows[row] == "unembedding":
            assert self.table is not None
            has = self.out >= 0
            found = np.zeros((len(self.out), self.table.rows.shape[1]))
            found[has] = self.table.rows[self.out[has].tolist()].double().numpy()
        else:
            found, has = self.seen.at(row), np.ones(len(self.out), dtype=bool)
        if has.any() and np.ptp(found[has], axis=0).max() > FLAT * np.abs(found[has]).max():
            found[has] = prepared(found[has], self.prepare)
            if self.project_out:
                columns = [DISTRACTORS.index(name) for name in self.project_out]
                pair = self.pair[has[self.pair].all(axis=1)]
                found[has] = without(found, pair, self.covariate[:, columns])[has]
            return found, has
        return found, np.zeros_like(has)

    def of(self, relation: int, has: np.ndarray) -> np.ndarray:
        """[pair, 2] word numbers of one relation, both words with a vector."""
        own = self.pair[self.label == relation]
        found: np.ndarray = own[has[own].all(axis=1)]
        return found


def relation_words(
    loaded: Loaded,
    progress: Progress,
    concepts: Any,
    *,
    contexts: Sequence[str] = (),
    read: str = "last",
    prepare: str = "centre",
    project_out: Sequence[str] = (),
    only: Sequence[str] = (),
    most_pairs: int = 0,
    seed: int = 0,
    share: tuple[float, float] = (0.0, 0.5),
) -> Relations:
    """The pairs of a set with the states of all their words. Raises `Error` without pairs.

    only        names of relations; () for all
    most_pairs  of one relation, seeded; 0 for all
    """
    given = asked(concepts)
    if given.kind != "pairs":
        raise Error(
            f"{short(given.name)} is a set of {given.kind}; relations need pairs, two words each"
        )
    project_out = checked_distractors(project_out)
    chosen = [given.group(name) for name in only] or list(given.groups)
    part = ConceptSet(
        given.name, "pairs", tuple(chosen), given.contexts, given.model, given.about, given.source,
        given.licence,
    )  # fmt: skip
    seen = set_states(loaded, progress, part, contexts=contexts, read=read, share=share)
    pair, label, notes = _pairs(part, seen, most_pairs, seed)
    out, table, why = _unembedded(loaded, progress, seen.words)
    layers = ["embedding", *(f"layer {number}" for number in range(seen.n_layers - 1))]
    return Relations(
        given=part,
        names=tuple(one.name for one in chosen),
        seen=seen,
        pair=pair,
        label=label,
        covariate=covariates(loaded, seen.words),
        rows=(*layers, *(["unembedding"] if table is not None else [])),
        out=out,
        table=table,
        project_out=project_out,
        prepare=prepare,
        notes=(*notes, *why),
    )


def checked_distractors(given: Sequence[str]) -> tuple[str, ...]:
    """The distractors by name. Raises `Error` for another name."""
    given = (given,) if isinstance(given, str) and given else tuple(given)
    for name in given:
        if name not in DISTRACTORS:
            raise Error(f"project_out= takes {', '.join(DISTRACTORS)}, not {str(name)[:20]!r}")
    return tuple(dict.fromkeys(given))


def _pairs(
    part: ConceptSet, seen: ItemStates, most: int, seed: int
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    place = {word: number for number, word in enumerate(seen.words)}
    pairs, labels, notes = [], [], []
    for number, group in enumerate(part.groups):
        both = list(zip(group.items, group.targets, strict=True))
        own = [(place[a], place[b]) for a, b in both if a in place and b in place]
        if len(own) < len(both):
            notes.append(f"{len(both) - len(own)} pairs of {group.name} could not be read")
        if most and len(own) > most:
            drawn = np.random.default_rng((seed, number)).permutation(len(own))[:most]
            notes.append(f"{most} of {len(own)} pairs of {group.name}, drawn at random")
            own = [own[at] for at in np.sort(drawn)]
        if len(own) < LEAST_PAIRS:
            notes.append(f"{group.name} has {len(own)} pairs, too few to compare offsets")
        pairs += own
        labels += [number] * len(own)
    if max(np.bincount(labels, minlength=1)) < LEAST_PAIRS:
        why = f": {seen.dropped[0][1]}" if seen.dropped else ""
        raise Error(
            f"no relation of {short(part.name)} has {LEAST_PAIRS} pairs that can be read{why}"
        )
    return np.array(pairs), np.array(labels), notes


def _unembedded(
    loaded: Loaded, progress: Progress, words: Sequence[str]
) -> tuple[np.ndarray, Unembedding | None, list[str]]:
    """Tokens of words that are one token each, and the unembedding; or why there is none."""
    none = np.full(len(words), -1)
    if loaded.kind != "decoder":
        return none, None, [f"{loaded.name} has no words on an output side that follows a text"]
    try:
        table = unembedding(loaded, progress.check)
    except Error as fault:
        return none, None, [str(fault)]
    ids = [in_text(loaded, word) for word in words]
    fit = [one[0] if len(one) == 1 and bool(table.used[one[0]]) else -1 for one in ids]
    several = sum(token < 0 for token in fit)
    said = f"{several} of {len(words)} words are several tokens and have no row of the unembedding"
    return np.array(fit), table, [said] if several else []


def covariates(loaded: Loaded, words: Sequence[str]) -> np.ndarray:
    """[word, distractor] what a word looks like to the model apart from its meaning."""
    found = []
    for word in words:
        ids = in_text(loaded, word) or (0,)
        last = pieces(loaded, ids[-1:])[0].strip()
        found.append([len(ids), len(last), np.log1p(ids[0]), float(word.strip()[:1].isupper())])
    return np.array(found, dtype=float)


def frequent(loaded: Loaded, table: Unembedding, most: int, taken: Sequence[int]) -> np.ndarray:
    """[token, d] rows of up to `most` frequent tokens (small numbers), without those taken."""
    left_out = {*taken, *loaded.tokenizer.all_special_ids}
    fit = (token for token in range(known_ids(loaded)) if token not in left_out)
    ids = [token for token in fit if bool(table.used[token])][:most]
    rows: torch.Tensor = table.rows[ids]
    return rows.double().numpy()
