"""What fires on my sentence: the strongest features of every token, and what they leave out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.analyses.asked import whole
from core.analyses.feature_codes import Seen, counted, mean_output, seen
from core.analyses.feature_known import known
from core.analyses.feature_rows import check_feature, opened_dictionary, unit_rows
from core.analyses.runs import Progress
from core.dictionaries.sparse import SparseDict
from core.models.loaded import Loaded
from core.models.tokens import encode, pieces
from core.results.feature_texts import FeatureTexts
from core.spec.errors import Error
from core.spec.interventions import Change
from kernels.feature_topk import Codes
from kernels.feature_topk.codes import codes as made_codes

MOST_TEXTS, MOST_TOKENS = 32, 16_384
MOST_K = 64
N_NEAR = 3
N_LISTED = 100


def feature_texts(
    loaded: Loaded,
    progress: Progress,
    *,
    dictionary: str,
    text: str = "",
    texts: Sequence[str] = (),
    feature: int | None = None,
    k: int = 8,
    interventions: Sequence[Change] = (),
    gallery: str = "",
    seed: int = 0,
) -> FeatureTexts:
    """The k strongest features of every token by written length, L0 and the error of each token.

    feature  also this feature's value at every token, and that of the three whose decoder rows
             are most like its own
    gallery  key of the gallery that maxima are taken from; without it the one made last
    Control: the error with every token's activations given to features drawn at random.
    """
    found = opened_dictionary(loaded, dictionary)
    followed, cosine = _followed(found, feature)
    whole("k", k, MOST_K)
    ids = _ids(loaded, text, texts)
    mean, n_reference = mean_output(loaded, progress, found)
    parts = []
    for number, one in enumerate(ids):
        progress.step(number / len(ids), f"text {number + 1} of {len(ids)}")
        parts.append(seen(loaded, progress, found, [one], change=interventions))
    keep = [counted(loaded, one) for one in ids]
    about = known(loaded, found, gallery)
    width = max(map(len, ids))
    arrays = _strongest_of(found, parts, k, width)
    listed = _listed(found, parts, keep)
    named = {*np.unique(arrays["feature"]).tolist(), *listed["listed"].tolist(), *followed}
    return FeatureTexts(
        request={},
        dictionary=found.name,
        site=str(found.site),
        tokens=tuple(pieces(loaded, one) for one in ids),
        counted=tuple(tuple(marks) for marks in keep),
        sites=tuple(str(change.site) for change in interventions),
        followed=tuple(followed),
        named=about.labelled(sorted(named)),
        corpus=about.corpus,
        n_reference=n_reference,
        **arrays,
        share=about.share(arrays["feature"], arrays["activation"]),
        l0=_padded([part.codes.start.diff().int().cpu().numpy() for part in parts], width),
        **_all_errors(found, parts, mean, keep, width, seed),
        heat=_heat(found, parts, followed, width),
        followed_cosine=cosine,
        followed_largest=about.largest(found, followed),
        listed_share=about.share(listed["listed"], listed.pop("activation")),
        **listed,
    )


def _ids(loaded: Loaded, text: str, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of the texts that were asked about."""
    asked = [texts] if isinstance(texts, str) else list(texts)
    asked = [text, *asked] if text else asked
    if not asked:
        raise Error("write a text, to see which features fire on it")
    if len(asked) > MOST_TEXTS:
        raise Error(f"{len(asked)} texts; at most {MOST_TEXTS} are read at a time")
    ids = [encode(loaded, one) for one in asked]
    if sum(map(len, ids)) > MOST_TOKENS:
        raise Error(f"the texts have {sum(map(len, ids)):,} tokens; at most {MOST_TOKENS:,}")
    return ids


def _followed(dictionary: SparseDict, feature: int | None) -> tuple[list[int], np.ndarray]:
    """(the feature and the three with the nearest decoder rows, their cosines)."""
    if feature is None:
        return [], np.zeros(0, "float32")
    one = check_feature(dictionary, feature)
    cosine = unit_rows(dictionary) @ unit_rows(dictionary, [one])[0]
    cosine[one] = torch.inf
    best = cosine.topk(min(1 + N_NEAR, len(cosine)))
    near = best.values.clamp_max(1).cpu().numpy().astype("float32")
    return best.indices.tolist(), near


def _lengths(dictionary: SparseDict) -> np.ndarray:
    lengths: np.ndarray = dictionary.lengths.clamp_min(1e-30).cpu().numpy()
    return lengths


class _Strongest:
    """The k strongest features of each token of one text, [token, k]."""

    def __init__(self, feature: Tensor, value: Tensor, activation: Tensor) -> None:
        self.feature = feature.int().cpu().numpy()
        self.value, self.activation = value.cpu().numpy(), activation.cpu().numpy()


def _strongest(dictionary: SparseDict, codes: Codes, k: int) -> _Strongest:
    written = codes.value * dictionary.lengths[codes.feature.long()].to(codes.value)
    order = torch.argsort(written, descending=True, stable=True)
    order = order[torch.argsort(codes.token[order], stable=True)]
    rank = torch.arange(len(order), device=order.device) - codes.start[:-1][codes.token[order]]
    first = rank < k
    order, rank = order[first], rank[first]
    shape = (codes.n_tokens, k)
    feature = torch.full(shape, -1, dtype=torch.int64, device=order.device)
    value = torch.full(shape, torch.nan, device=order.device)
    activation = value.clone()
    at = codes.token[order]
    feature[at, rank] = codes.feature[order].long()
    value[at, rank], activation[at, rank] = written[order], codes.value[order]
    return _Strongest(feature, value, activation)


def _strongest_of(
    dictionary: SparseDict, parts: Sequence[Seen], k: int, width: int
) -> dict[str, np.ndarray]:
    """Feature, value and activation [text, token, k]."""
    strongest = [_strongest(dictionary, part.codes, k) for part in parts]
    return {
        name: _padded([getattr(one, name) for one in strongest], width)
        for name in ("feature", "value", "activation")
    }


def _all_errors(
    dictionary: SparseDict,
    parts: Sequence[Seen],
    mean: Tensor,
    keep: Sequence[Sequence[bool]],
    width: int,
    seed: int,
) -> dict[str, Any]:
    """What is left out, by field of the result."""
    found = [
        _errors(dictionary, part, mean, marks, seed)
        for part, marks in zip(parts, keep, strict=True)
    ]
    return {
        "error": _padded([one[0] for one in found], width),
        "random_error": _padded([one[1] for one in found], width),
        "total_error": np.array([one[2] for one in found], "float32"),
        "total_random_error": np.array([one[3] for one in found], "float32"),
    }


def _errors(
    dictionary: SparseDict, part: Seen, mean: Tensor, keep: Sequence[bool], seed: int
) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Error of each token [token] and its control, then both over the counted tokens."""
    generator = torch.Generator().manual_seed(seed)
    codes = part.codes
    drawn = torch.randint(dictionary.n_features, (len(codes.feature),), generator=generator)
    random = made_codes(
        codes.token, drawn.to(codes.feature), codes.value, codes.n_tokens, codes.n_features
    )
    spread = (part.y - mean.to(part.y)).double().square().sum(1)
    marks = torch.tensor(list(keep), device=spread.device)
    each, whole = [], []
    for one in (codes, random):
        missed = (part.y - dictionary.decode(one, part.normed)).double().square().sum(1)
        each.append((missed / spread.clamp_min(1e-30)).float().cpu().numpy())
        whole.append(float(missed[marks].sum() / spread[marks].sum().clamp_min(1e-30)))
    if not any(keep):
        whole = [float("nan")] * 2
    return each[0], each[1], whole[0], whole[1]


def _heat(
    dictionary: SparseDict, parts: Sequence[Seen], followed: Sequence[int], width: int
) -> np.ndarray:
    """Values of the followed features, [followed, text, token]."""
    found = np.full((len(followed), len(parts), width), np.nan, "float32")
    for number, part in enumerate(parts):
        codes = part.codes
        for row, feature in enumerate(followed):
            here = codes.feature == feature
            found[row, number, : codes.n_tokens] = 0
            at = codes.token[here].cpu().numpy()
            length = float(dictionary.lengths[feature])
            found[row, number, at] = codes.value[here].cpu().numpy() * length
    return found


def _padded(parts: Sequence[np.ndarray], width: int) -> np.ndarray:
    """[text, token, ...] from one array per text; NaN or -1 behind the end."""
    first = parts[0]
    empty: Any = np.nan if first.dtype.kind == "f" else -1
    found = np.full((len(parts), width, *first.shape[1:]), empty, first.dtype)
    for row, part in enumerate(parts):
        found[row, : len(part)] = part
    return found


def _listed(
    dictionary: SparseDict, parts: Sequence[Seen], keep: Sequence[Sequence[bool]]
) -> dict[str, np.ndarray]:
    """The features over all texts by their largest value at a counted token."""
    columns = []
    for number, (part, marks) in enumerate(zip(parts, keep, strict=True)):
        token = part.codes.token.cpu().numpy()
        value = (part.codes.value * dictionary.lengths[part.codes.feature.long()]).cpu().numpy()
        here = np.array(marks, dtype=bool)[token]
        text = np.full(len(token), number)
        columns.append(
            [each[here] for each in (part.codes.feature.cpu().numpy(), value, text, token)]
        )
    feature, value, text, token = (np.concatenate(each) for each in zip(*columns, strict=True))
    order = np.lexsort((feature, -value))
    names, first, counts = np.unique(feature[order], return_index=True, return_counts=True)
    best = np.argsort(first, kind="stable")[:N_LISTED]
    at = order[first[best]]
    return {
        "activation": value[at] / _lengths(dictionary)[names[best]],
        "listed": names[best].astype(np.int32),
        "listed_value": value[at].astype("float32"),
        "listed_text": text[at].astype(np.int32),
        "listed_token": token[at].astype(np.int32),
        "listed_count": counts[best].astype(np.int32),
    }
