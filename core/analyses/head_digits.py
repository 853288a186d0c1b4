"""Numbers by their last digit: is it written in the embedding, and does the head act on it?

The mod-10 features of "Successor Heads" (Gould et al., 2023).
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.corpus.sequences import TokenList, list_items, token_list
from core.engine.head_weights import scaled
from core.engine.token_states import token_states
from core.models.loaded import Loaded
from core.spec.errors import Error

NUMBERS, WORDS, MONTHS = "digits_1_200", "number_words_1_20", "months"
FROM, TO = 20, 199  # whose last digit is not all there is to them
LEAST = 4  # numbers of each last digit
TESTED = 5  # a fifth is held out
N_RANDOM = 8


def mod_ten(
    loaded: Loaded,
    layer: int,
    pair: tuple[Tensor, Tensor],
    matrix: Tensor,
    embedding: str,
    seed: int,
    stack: str,
) -> dict[str, Any]:
    """The last-digit part of `HeadSuccessor`, by its names; `mod_note` says why there is none.

    pair    the head's (v, o); matrix [d_vocab, d_model] what written vectors are read with
    """
    try:
        one = token_list(loaded, NUMBERS)
    except Error as fault:
        return _nothing(str(fault))
    kept = [at for at, item in enumerate(one.items) if FROM <= int(item) <= TO]
    digits = np.array([int(one.items[at]) % 10 for at in kept], dtype=np.int64)
    if np.bincount(digits, minlength=10).min() < LEAST:
        return _nothing(
            f"{len(kept)} of the numbers from {FROM} to {TO} are single tokens of {loaded.name}; "
            f"the last digit needs {LEAST} of each"
        )
    ids = [one.ids[at] for at in kept]
    held = _held_out(digits, seed)
    states = token_states(loaded, ids, layer, embedding, stack)
    known = _Digits(states[~held], digits[~held])
    others = {name: _other(loaded, name, layer, embedding, stack) for name in (WORDS, MONTHS)}
    accuracy = {"numbers": known.accuracy(states[held], digits[held])}
    accuracy |= {name: known.accuracy(*each) for name, each in others.items() if each is not None}
    shuffled = np.random.default_rng(seed).permutation(digits[~held])
    accuracy["shuffled"] = _Digits(states[~held], shuffled).accuracy(states[held], digits[held])
    edits = _Edits(loaded, layer, stack, pair, matrix[ids], digits)
    hit, own = edits.hits(states[held], digits[held], known.features)
    random = [
        edits.hits(states[held], digits[held], like(known.features, seed * 100 + draw))[0]
        for draw in range(N_RANDOM)
    ]
    return {
        "mod_note": "",
        "mod_accuracy": accuracy,
        "mod_n": (int((~held).sum()), int(held.sum())),
        "mod_unedited": own,
        "mod_n_random": N_RANDOM,
        "mod_hit": hit,
        "mod_control": np.mean(random, axis=0),
    }


def _nothing(why: str) -> dict[str, Any]:
    return {
        "mod_note": why,
        "mod_accuracy": {},
        "mod_n": (0, 0),
        "mod_unedited": float("nan"),
        "mod_n_random": 0,
        "mod_hit": np.full((10, 10), np.nan),
        "mod_control": np.full((10, 10), np.nan),
    }


def _held_out(digits: np.ndarray, seed: int) -> np.ndarray:
    """A random fifth of the numbers of each last digit, bool [number]."""
    random, held = np.random.default_rng(seed), np.zeros(len(digits), dtype=bool)
    for digit in range(10):
        own = np.flatnonzero(digits == digit)
        held[random.choice(own, max(1, round(len(own) / TESTED)), replace=False)] = True
    return held


class _Digits:
    """A least-squares map from states to last digits, and the feature of each digit."""

    def __init__(self, states: Tensor, digits: np.ndarray) -> None:
        exact, self.mean = states.double().cpu(), states.double().cpu().mean(0)
        member = torch.nn.functional.one_hot(torch.from_numpy(digits), 10).double()
        # Of many maps that fit, the smallest one.
        self.map = torch.linalg.pinv(exact - self.mean) @ (member - member.mean(0))
        means = member.T @ exact / member.sum(0)[:, None].clamp_min(1)
        self.features = (means - means.mean(0)).to(states)  # [digit, d_model]

    def accuracy(self, states: Tensor, digits: np.ndarray) -> float:
        found = ((states.double().cpu() - self.mean) @ self.map).argmax(1).numpy()
        return float((found == digits).mean())


def _other(
    loaded: Loaded, name: str, layer: int, embedding: str, stack: str
) -> tuple[Tensor, np.ndarray] | None:
    """(states, last digits) of a list that counts from one; None where the model has it not."""
    try:
        one: TokenList = token_list(loaded, name)
    except Error:
        return None
    whole = _places(name)
    digits = np.array([whole[item.casefold()] % 10 for item in one.items])
    return token_states(loaded, one.ids, layer, embedding, stack), digits


def _places(name: str) -> dict[str, int]:
    """Item -> its number in a list that counts from one."""
    return {item.casefold(): at for at, item in enumerate(list_items(name), 1)}


def like(features: Tensor, seed: int) -> Tensor:
    """Random features, each as long as the one in its place."""
    generator = torch.Generator().manual_seed(seed)
    random = torch.randn(features.shape, generator=generator).to(features)
    return random / random.norm(dim=1, keepdim=True) * features.norm(dim=1, keepdim=True)


class _Edits:
    """What the head says for numbers whose last digit was exchanged in front of it."""

    def __init__(
        self,
        loaded: Loaded,
        layer: int,
        stack: str,
        pair: tuple[Tensor, Tensor],
        table: Tensor,
        digits: np.ndarray,
    ) -> None:
        self.place = (loaded, layer, stack)
        self.v, self.o = pair
        self.table, self.digits = table, digits

    def says(self, states: Tensor) -> np.ndarray:
        """The last digit of the number the head raises most, [state]."""
        loaded, layer, stack = self.place
        written = scaled(loaded, layer, states, stack) @ self.v @ self.o
        logits = written @ self.table.T
        best = (logits - logits.mean(1, keepdim=True)).argmax(1).cpu().numpy()
        found: np.ndarray = self.digits[best]
        return found

    def hits(
        self, states: Tensor, digits: np.ndarray, features: Tensor
    ) -> tuple[np.ndarray, float]:
        """(share of hits [digit it had, digit it was given], share before the exchange).

        A hit: the number raised most ends in the digit behind the one that was given.
        """
        hit = np.zeros((10, 10))
        own = features[torch.from_numpy(digits).to(features.device)]
        for target in range(10):
            said = self.says(states - own + features[target])
            right = said == (target + 1) % 10
            hit[:, target] = [right[digits == digit].mean() for digit in range(10)]
        return hit, float((self.says(states) == (digits + 1) % 10).mean())
