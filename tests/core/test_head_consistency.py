"""Concept consistency: a planted head of colours, random circuits beside, lists by hand."""

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from core import api
from core.analyses.head_consistency import LEVEL, head_consistency
from core.analyses.runs import Silent
from core.corpus.packs import words
from core.corpus.sequences import one_token
from core.engine.token_scores import vocabulary
from core.figures import head_consistency as drawn
from core.figures.theme import Look
from core.home import ASSETS
from core.models import loaded as loading
from core.models.loaded import Loaded
from core.models.tokens import pieces
from core.results.head_consistency import HeadConsistency
from core.spec.errors import Error

COLOURS = ["red", "blue", "green", "yellow", "black", "white", "brown", "pink", "purple", "orange"]
LAYER, HEAD = 2, 3


@pytest.fixture(scope="module")
def embedded() -> Loaded:
    return api.load(ASSETS / "models" / "embedded", device="cpu")


def chosen_words(m: Loaded) -> list[int]:
    """Forty words without anything in common."""
    ids = words(m)
    order = torch.randperm(len(ids), generator=torch.Generator().manual_seed(0))
    return [ids[place] for place in order[:40].tolist()]


@pytest.fixture(scope="module")
def planted(embedded: Loaded) -> Loaded:
    """A copy in which five channels of one head write eight of the chosen words each."""
    m = copy.copy(embedded)
    m.module, m.memo = copy.deepcopy(embedded.module), {}
    m.stacks = {"": loading._stack(m.module, "", m.row, m.config)}
    m.head = m.module.get_output_embeddings()
    rows = vocabulary(m, "unembedding").matrix
    known = words(m)
    wanted = torch.zeros(len(known), 5)
    for number, token in enumerate(chosen_words(m)):
        wanted[known.index(token), number // 8] = 1.0
    # Sums of the words' own rows would mostly say what all rows have in common.
    found = torch.linalg.lstsq(rows[known] - rows[known].mean(0), wanted).solution
    each = torch.linalg.qr(found).Q.T * torch.linalg.qr(found).R.diagonal().sign()[:, None]
    weight = m.stacks[""].blocks[LAYER].heads.weight
    with torch.no_grad():
        part = torch.zeros(m.d_model, m.d_head)
        part[:, :5] = (each * torch.tensor([16.0, 8, 4, 2, 1])[:, None]).T
        weight[:, HEAD * m.d_head : (HEAD + 1) * m.d_head] = part  # type: ignore[index]
    return m


def test_a_head_whose_channels_write_one_list_is_named_so_and_no_other_is(
    planted: Loaded,
) -> None:
    ids = chosen_words(planted)
    mine = ("mine", [piece.strip() for piece in pieces(planted, ids)])
    found = head_consistency(planted, Silent(), lists=[("colours", COLOURS), mine], tasks=())
    assert found.names[found.concept[LAYER, HEAD]] == "mine"
    assert found.score[LAYER, HEAD] >= 4
    assert np.delete(found.score.ravel(), LAYER * planted.n_heads + HEAD).max() <= 1
    assert found.control.max() <= 1
    assert set(found.tokens(LAYER, HEAD, 0)) & set(pieces(planted, ids))


def test_the_chance_of_a_channel_is_the_hypergeometric_one(embedded: Loaded) -> None:
    from scipy.stats import hypergeom

    found = head_consistency(embedded, Silent(), lists=[("colours", COLOURS)], tasks=())
    ids = {
        token
        for word in COLOURS
        for form in (word, word.capitalize())
        if (token := one_token(embedded, form)) in words(embedded)
    }
    assert found.sizes == (len(ids),)
    inside = sum(token in ids for token in found.token_ids[1, 2, 0].tolist())
    p = hypergeom.sf(inside - 1, found.n_vocabulary, len(ids), found.n_tokens)
    assert found.p[1, 2, 0] == pytest.approx(p)
    sure = (found.p < LEVEL / 2).sum(-1)
    np.testing.assert_array_equal(found.score, sure)


def test_pruned_groups_are_of_one_size_and_scaled_heads_change_the_answers(
    planted: Loaded,
) -> None:
    found = head_consistency(planted, Silent(), tasks=("repeated_tokens",), n_cases=2)
    assert found.lost.shape == (6, 2, 1)
    assert found.group_size == round(0.1 * found.score.size)
    assert np.abs(found.lost).max() > 0


@pytest.mark.parametrize("view", drawn.VIEWS)
@pytest.mark.parametrize("dark", [False, True])
def test_every_view_is_drawn_with_named_axes(embedded: Loaded, view: str, dark: bool) -> None:
    found: HeadConsistency = head_consistency(
        embedded, Silent(), lists=[("<b>$x", COLOURS)], tasks=("successions",), n_cases=1
    )
    fig = drawn.figure(found, Look(dark=dark), view=view)
    assert fig.layout.xaxis.title.text
    assert fig.layout.yaxis.title.text
    assert "<b>$" not in fig.to_json()
    assert "control" in drawn.caption(found)


def test_what_cannot_be_asked_is_refused_with_a_sentence(
    embedded: Loaded, tiny: Callable[[str], Path]
) -> None:
    for options, sentence in (
        ({"side": "both"}, "write or read"),
        ({"lists": ("colours",)}, "pairs of a name"),
        ({"lists": (("x", ["qqqq", "wwww"]),)}, "none of the 1 lists"),
        ({"n_cases": 0}, "n_cases must be"),
        ({"tasks": ("x",)}, "no task 'x'"),
    ):
        with pytest.raises(Error, match=sentence):
            head_consistency(embedded, Silent(), **options)  # type: ignore[arg-type]
    with pytest.raises(Error, match="single tokens of llama"):
        head_consistency(api.load(tiny("llama"), device="cpu"), Silent())
