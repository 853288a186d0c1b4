"""Scores of a label somebody typed, without another model: embedding, surprisal, its words.

Contexts after delphi (EleutherAI); here they come from documents of their own half.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from core.analyses.feature_gallery import N_CONTEXTS, opened
from core.analyses.feature_rows import check_feature, feature_site, opened_dictionary
from core.analyses.label_facts import built_in_lists
from core.analyses.label_material import Material, material
from core.analyses.runs import Progress
from core.analyses.scores import auc, bootstrapped, f1, precision, recall
from core.analyses.states import states
from core.corpus.chunks import WINDOW, Contexts, around, contexts
from core.corpus.readers import Corpus
from core.corpus.spans import target_tokens, word_spans
from core.engine.forward import run
from core.engine.loss import next_token_losses, refuse_without_next_tokens
from core.engine.rows import rows
from core.galleries.reading import FeatureGallery
from core.models.loaded import Loaded
from core.models.tokens import encode
from core.results.label_test import N_BLIND, LabelTest
from core.spec.claims import word_set
from core.spec.errors import Error
from core.spec.intervals import wilson

LEAST_ACTIVE = 30
N_WORDS, N_PREFIXES = 20, 5  # random words that stand for labels; those tried as a prefix
N_ROUNDS = 20
MOST_LABEL = 200  # characters
_WORD = re.compile(r"[^\W\d_]{3,}")


def label_test(
    loaded: Loaded,
    progress: Progress,
    *,
    dictionary: str,
    feature: int,
    label: str = "",
    members: Sequence[str] = (),
    corpus: Corpus = "built-in",
    field: str = "text",
    window: int = WINDOW,
    n_contexts: int = N_CONTEXTS,
    seed: int = 0,
) -> LabelTest:
    """How well a label says where the feature fires, on half B of the documents.

    label    what somebody thinks it stands for; "": the texts to judge, without scores
    members  its words; for the name of a built-in list ("animal") they are known

    Control: twenty random words of the text as labels.
    """
    book = opened_dictionary(loaded, dictionary)
    number = check_feature(book, feature)
    if not isinstance(label, str) or len(label) > MOST_LABEL:
        raise Error(f"a label is a text of at most {MOST_LABEL} characters")
    place: dict[str, Any] = {"field": field, "window": window, "n_contexts": n_contexts}
    gallery = opened(loaded, progress, dictionary=dictionary, corpus=corpus, **place)
    made = contexts(loaded, corpus, **place)
    found = material(gallery, book, number, seed)
    label = label.strip()
    scorer = _Scorer(loaded, progress, gallery, found, seed)
    meant = known_members(label, members)
    return LabelTest(
        request={},
        dictionary=book.name,
        site=feature_site(book, number),
        feature=number,
        label=label,
        corpus=gallery.manifest.corpus,
        n_active=found.n_active,
        least=LEAST_ACTIVE,
        members=meant,
        kind=found.kind,
        active=found.active,
        **scorer.texts(number),
        **scorer.scores(label, _random_words(made, seed)),
        **_on_words(gallery, made, number, meant),
        **scorer.games(),
    )


def known_members(label: str, members: Sequence[str]) -> tuple[str, ...]:
    """The label's words: those given, or those of the built-in list of that name."""
    if members:
        listed = members.replace(",", "\n").splitlines() if isinstance(members, str) else members
        return tuple(dict.fromkeys(word.strip() for word in listed if word.strip()))
    known = word_set(label) if label else None
    if known is not None:
        return known.members
    lists = built_in_lists()
    names = [name for name in lists if label and label.lower() in (name, name.split(": ")[-1])]
    return lists[names[0]] if names else ()


def _random_words(made: Contexts, seed: int) -> tuple[str, ...]:
    """Words of the text, each once, drawn at random."""
    words = sorted({word.lower() for text in made.documents for word in _WORD.findall(text.text)})
    drawn = np.random.default_rng(seed).permutation(len(words))[:N_WORDS]
    return tuple(words[at] for at in drawn)


def _on_words(
    gallery: FeatureGallery, made: Contexts, feature: int, members: Sequence[str]
) -> dict[str, Any]:
    """Firing against the last token of the label's words, all tokens of half B."""
    none = dict.fromkeys(("f1", "precision", "recall"), float("nan"))
    if not members or not made.has_spans:
        return none
    spans = word_spans(members, [document.text for document in made.documents])
    said = np.concatenate([np.array(one) for one in target_tokens(made, spans)])
    fires = np.zeros(gallery.text.n_tokens, dtype=bool)
    fires[gallery.need_codes().of_feature(feature)[0]] = True
    counted = gallery.text.keep & (gallery.text.token_half == 1)
    said, fires = said[counted], fires[counted]
    return {
        "f1": f1(said, fires), "precision": precision(said, fires), "recall": recall(said, fires)
    }  # fmt: skip


class _Scorer:
    """The pieces as token ids, and what the loaded model makes of them and of a label."""

    def __init__(
        self,
        loaded: Loaded,
        progress: Progress,
        gallery: FeatureGallery,
        found: Material,
        seed: int,
    ) -> None:
        self.loaded, self.progress, self.gallery = loaded, progress, gallery
        self.found, self.seed = found, seed
        text = gallery.text
        self.before, self.after = around(loaded)
        special = set(loaded.tokenizer.all_special_ids)
        self.bodies = [
            [int(t) for t in text.ids[a:b] if int(t) not in special]
            for a, b in zip(found.first, found.last, strict=True)
        ]
        n_layers = len(loaded.stacks[loaded.prompt_stack].blocks)
        self.layer = min(n_layers - 1, round(2 * n_layers / 3))
        n_active = int(found.active.sum())
        self.enough = n_active >= LEAST_ACTIVE and len(found.active) - n_active >= LEAST_ACTIVE
        self.vectors = self._vectors(self.bodies) if self.bodies else np.zeros((0, loaded.d_model))
        self.vectors = self.vectors - self.vectors.mean(axis=0)

    def texts(self, feature: int) -> dict[str, Any]:
        """The contexts as a page shows them."""
        found, text = self.found, self.gallery.text
        token, value = self.gallery.need_codes().of_feature(feature)
        longest = int((found.last - found.first).max(initial=1))
        activation = np.full((len(found.peak), longest), np.nan)
        tokens = []
        for row, (first, last) in enumerate(zip(found.first, found.last, strict=True)):
            tokens.append(text.read(text.ids[first:last]))
            activation[row, : last - first] = 0
            inside = slice(*np.searchsorted(token, (first, last)))
            activation[row, token[inside] - first] = value[inside]
        return {
            "tokens": tuple(tokens),
            "activation": activation.astype("float32"),
            "peak": found.peak - found.first,
            "layer": self.layer,
            "enough": self.enough,
        }

    def _vectors(self, bodies: Sequence[Sequence[int]]) -> np.ndarray:
        """Mean state of every text at two thirds of the depth, [text, d_model]."""
        ids = [[*self.before, *body, *self.after] for body in bodies]
        read = states(
            self.loaded, self.progress, ids, positions=("mean",), layers=[self.layer],
            note="reading the contexts", share=None,
        )  # fmt: skip
        found: np.ndarray = read.vectors[0, 0].double().numpy()
        return found

    def scores(self, label: str, words: Sequence[str]) -> dict[str, Any]:
        """Embedding and surprisal, NaN where they cannot be had, and why."""
        n = len(self.found.active)
        nan = float("nan")
        found: dict[str, Any] = dict.fromkeys(
            ("auc", "auc_low", "auc_high", "auc_hard", "surprisal", "surprisal_low",
             "surprisal_high"), nan
        )  # fmt: skip
        found |= {name: np.full(n, np.nan) for name in ("similarity", "drop")}
        found |= {"control_auc": np.empty(0), "control_surprisal": np.empty(0), "words": ()}
        why = []
        if not self.enough:
            why.append(
                f"it fires in {self.found.n_active} contexts of half B of this text; a score needs "
                f"{LEAST_ACTIVE}"
            )
        elif label:
            found |= self._embedded(label, words)
            try:
                refuse_without_next_tokens(self.loaded, "surprisal")
                found |= self._surprised(label, words)
            except Error as fault:
                why.append(str(fault))
        return {**found, "missing": tuple(why)}

    def _embedded(self, label: str, words: Sequence[str]) -> dict[str, Any]:
        """AUC of the cosine of label and context, each less the mean of its kind."""
        named = self._vectors([self._plain(one) for one in (label, *words)])
        named = named - named[1:].mean(axis=0)
        length = np.linalg.norm(named, axis=1)[:, None] * np.linalg.norm(self.vectors, axis=1)
        cosine = named @ self.vectors.T / np.maximum(length, 1e-12)
        active = self.found.active
        hard = active | np.array([kind == "hard" for kind in self.found.kind])
        low, high = bootstrapped(auc, cosine[0], active, self.seed)
        return {
            "auc": auc(cosine[0], active),
            "auc_low": low,
            "auc_high": high,
            "auc_hard": auc(cosine[0][hard], active[hard]),
            "similarity": cosine[0],
            "control_auc": np.array([auc(one, active) for one in cosine[1:]]),
            "words": tuple(words),
        }

    def _surprised(self, label: str, words: Sequence[str]) -> dict[str, Any]:
        """Loss of each context less that behind the label."""
        bare = self._losses([])
        active = self.found.active
        drops = [
            bare - self._losses(self._plain(f"{one}.")) for one in (label, *words[:N_PREFIXES])
        ]
        apart = [float(drop[active].mean() - drop[~active].mean()) for drop in drops]
        low, high = bootstrapped(_difference, drops[0], active, self.seed)
        return {
            "surprisal": apart[0],
            "surprisal_low": low,
            "surprisal_high": high,
            "drop": drops[0],
            "control_surprisal": np.array(apart[1:]),
        }

    def _plain(self, text: str) -> list[int]:
        marks = set(self.loaded.tokenizer.all_special_ids)
        ids = [token for token in encode(self.loaded, text) if token not in marks]
        return ids or encode(self.loaded, text)

    def _losses(self, prefix: Sequence[int]) -> np.ndarray:
        """Mean loss of each piece's tokens but its first behind a prefix, [context]."""
        head = [*self.before, *prefix]
        found = []
        for start in range(0, len(self.bodies), 25):
            part = self.bodies[start : start + 25]
            shown = rows(self.loaded, [[*head, *body] for body in part])
            logits = run(self.loaded, shown, check=self.progress.check).logits
            assert logits is not None
            lost = next_token_losses(logits, shown)[:, len(head) :].double().cpu()
            n = torch.tensor([max(1, len(body) - 1) for body in part])
            found.append((lost.sum(dim=1) / n).numpy())
        return np.concatenate(found)

    def games(self) -> dict[str, Any]:
        """The blind test and the rounds of "find the odd one", with what the embedding finds."""
        drawn = np.random.default_rng(self.seed + 1)
        yes, no = (np.flatnonzero(side) for side in (self.found.active, ~self.found.active))
        half = min(N_BLIND // 2, len(yes), len(no))
        blind = np.concatenate([drawn.permutation(yes)[:half], drawn.permutation(no)[:half]])
        n = N_ROUNDS if len(yes) >= 4 and len(no) else 0
        odd = drawn.integers(0, 5, n)
        rounds = np.empty((n, 5), dtype=np.int64)
        for row, place in enumerate(odd):
            rounds[row] = np.insert(drawn.choice(yes, 4, replace=False), place, drawn.choice(no))
        unit = self.vectors / np.maximum(np.linalg.norm(self.vectors, axis=1), 1e-12)[:, None]
        guess = [int((unit[one] @ unit[one].T).sum(axis=1).argmin()) for one in rounds]
        share = float(np.mean(np.array(guess) == odd)) if n else float("nan")
        low, high = wilson(share, n)
        return {
            "blind": drawn.permutation(blind),
            "rounds": rounds,
            "odd": odd,
            "odd_share": share,
            "odd_low": low,
            "odd_high": high,
        }


def _difference(value: np.ndarray, member: np.ndarray) -> float:
    return float(value[member].mean() - value[~member].mean())
