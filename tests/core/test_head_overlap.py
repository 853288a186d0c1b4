"""Heads that tasks share: effects by hand, planted heads, chance taken off."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core import api
from core.analyses.head_overlap import _best, _random_like, head_overlap
from core.analyses.runs import Silent
from core.corpus.packs import pack
from core.engine.forward import run
from core.engine.rows import rows
from core.figures import head_overlap as drawn
from core.figures.theme import Look
from core.home import ASSETS
from core.models.loaded import Loaded
from core.results.head_overlap import HeadOverlap
from core.spec.errors import Error
from core.spec.interventions import Ablate
from core.spec.site import Site
from tests import planted_heads

FEW = {"n_cases": 4, "n_random": 2}


@pytest.fixture(scope="module")
def embedded() -> Loaded:
    return api.load(ASSETS / "models" / "embedded", device="cpu")


@pytest.fixture(scope="module")
def result(embedded: Loaded) -> HeadOverlap:
    names = ("repeated_tokens", "needle_in_text", "successions")
    return head_overlap(embedded, Silent(), tasks=names, n_cases=6, n_random=4)


def test_effects_are_those_of_ablating_one_head_by_hand(embedded: Loaded) -> None:
    found = head_overlap(embedded, Silent(), tasks=("colours", "needle_in_text"), **FEW)
    cases = pack(embedded, "colours").cases
    chosen = [cases[round(i * (len(cases) - 1) / 7)] for i in (0, 2, 4, 6)]
    lost = []
    for case in chosen:
        text = rows(embedded, [case.ids])
        change = [[Ablate(Site(4, "head", 1), "mean")]]
        log_p = [
            run(embedded, text, change=c, logits="last").logits[0, -1].log_softmax(-1)[case.answer]  # type: ignore[index]
            for c in ([], change)
        ]
        lost.append(float(log_p[0] - log_p[1]))
    assert found.effect[0, 4, 1] == pytest.approx(np.mean(lost), abs=1e-4)
    assert found.n_cases == (4, 4)
    assert found.n_fitting[0] == len(cases)


def test_tasks_of_one_machine_share_its_two_planted_heads(tmp_path: Path) -> None:
    loaded = api.load(planted_heads.gpt2(tmp_path / "model"), device="cpu")
    text = [planted_heads.repeated_text(12, seed).split() for seed in range(16)]
    pairs = [(" ".join(words[:18]), words[18]) for words in text]
    found = head_overlap(
        loaded, Silent(), tasks=(("one", pairs[:8]), ("two", pairs[8:])), share=0.25, **FEW
    )
    assert found.shared() == ("L0.head[0]", "L1.head[0]")
    assert found.jaccard[0, 1] == 1.0
    assert found.corrected[0, 1] == pytest.approx(1.0)
    assert found.overlap[0, 1].tolist() == [1, 1]
    assert found.expected[0, 1].tolist() == [0.25, 0.25]
    assert (found.lost[0, :, 0] > 2).all()
    assert np.abs(found.lost[0, :, 1:]).max() < 0.5


def test_repeats_and_needles_need_the_same_heads_and_others_of_the_same_shape_do_not_matter(
    result: HeadOverlap,
) -> None:
    assert result.corrected[0, 1] > result.corrected[0, 2]
    assert result.lost[0, 0, 0] > result.lost[0, 0, 1:].max()


def test_sets_have_their_size_and_random_ones_the_same_in_every_layer(
    result: HeadOverlap,
) -> None:
    import torch

    assert (result.chosen.sum((1, 2)) <= round(0.1 * result.effect[0].size)).all()
    own = torch.from_numpy(result.chosen[0])
    other = _random_like(own, torch.Generator().manual_seed(0))
    assert other.sum(1).tolist() == own.sum(1).tolist()
    assert not (own & other).any()


def test_only_heads_that_help_are_in_a_set() -> None:
    import torch

    effect = torch.tensor([[0.5, -1.0, 0.2], [-0.1, -0.2, 0.0]])
    assert _best(effect, 0.9).tolist() == [[True, False, True], [False, False, False]]


@pytest.mark.parametrize("view", drawn.VIEWS)
@pytest.mark.parametrize("dark", [False, True])
def test_every_view_is_drawn_and_names_are_harmless(
    result: HeadOverlap, view: str, dark: bool
) -> None:
    import dataclasses

    hostile = dataclasses.replace(result, names=("<b>a</b>", "$x$", "c\u202e"))
    fig = drawn.figure(hostile, Look(dark=dark), view=view)
    text = fig.to_json()
    assert fig.layout.xaxis.title.text
    assert fig.layout.yaxis.title.text
    assert "<b>a" not in text
    assert "\\u003cb\\u003ea" not in text
    assert "$x" not in text
    assert "control" in drawn.caption(result)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"tasks": ("colours",)}, "two tasks or more"),
        ({"tasks": ("repeated_tokens", "nothing")}, "no task 'nothing'"),
        ({"tasks": ("repeated_tokens", 3)}, "name with pairs"),
        ({"tasks": ("repeated_tokens", ("own", [("F, G, H,", "I")]))}, "1 of the 1 cases of own"),
        ({"tasks": ("repeated_tokens",) * 2, "share": 2}, "share is the part"),
        ({"tasks": ("repeated_tokens",) * 2, "n_cases": 1}, "n_cases must be"),
        ({"tasks": ("repeated_tokens",) * 2}, "same name"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_a_sentence(
    stories: Loaded, options: dict[str, object], sentence: str
) -> None:
    with pytest.raises(Error, match=sentence):
        head_overlap(stories, Silent(), **options)  # type: ignore[arg-type]


def test_encoders_are_refused(tiny: Callable[[str], Path]) -> None:
    with pytest.raises(Error, match="does not continue a text"):
        head_overlap(api.load(tiny("bert"), device="cpu"), Silent(), tasks=("colours", "facts"))
