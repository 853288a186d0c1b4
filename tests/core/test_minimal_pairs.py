"""Minimal pairs: planted readings, probabilities against the logits, balance, and chance."""

from collections import Counter
from collections.abc import Callable
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from core import api
from core.analyses.runs import Silent
from core.analyses.sentence_scores import next_log_p, scored
from core.corpus.pair_sets import named
from core.figures import minimal_pairs as drawing
from core.figures.theme import Look
from core.models.loaded import Loaded
from core.results.minimal_pairs import MinimalPairs
from core.spec.errors import Error
from core.spec.pairs import PAIR_SETS, PairSet, read_lines

module = import_module("core.analyses.minimal_pairs")
N = 80
# Either animal is as often right as wrong, so that no word tells.
GOOD = [f"the {('cat', 'dog')[n % 2]} number {n} sat here" for n in range(N)]
BAD = [f"the {('dog', 'cat')[n % 2]} number {n} sat here" for n in range(N)]


def run(m: Loaded, **options: Any) -> MinimalPairs:
    found = api.run("minimal_pairs", m, **options)
    assert isinstance(found, MinimalPairs)
    return found


def test_a_difference_planted_from_a_layer_on_is_read_from_there_on(
    stories: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    layers = rng.normal(size=(6, 2 * N, 12))
    layers[3:, :N, 0] += 5
    planted = SimpleNamespace(vectors=[torch.tensor(layers).float()])
    monkeypatch.setattr(module, "states", lambda *_, **__: planted)
    found = run(stories, good=GOOD, bad=BAD)
    assert found.readable
    assert found.points["onset"] == 3
    assert found.chosen[3:].min() > 0.95
    assert np.abs(found.chosen[:3] - 0.5).max() < 0.2
    assert found.nested > 0.95
    assert np.abs(found.control_chosen.mean(axis=0) - 0.5).max() < 0.05
    layers[3:, :N, 0] -= 5
    planted.vectors = [torch.tensor(layers).float()]
    nothing = run(stories, good=GOOD, bad=BAD)
    assert not nothing.readable
    assert "does not read it above chance" in drawing.title(nothing)
    assert abs(nothing.nested - 0.5) < 0.2


def test_log_probabilities_are_those_of_the_logits(gpt2: Loaded) -> None:
    texts = ["the cat sat here", "a dog", "the red hat sat on one big mat"]
    ids = [list(gpt2.tokenizer(text)["input_ids"]) for text in texts]
    found = scored(gpt2, Silent(), ids)
    for text, one, values in zip(texts, ids, found, strict=True):
        logits = torch.tensor(api.logits(gpt2, text))
        log_p = torch.log_softmax(logits, -1)
        assert np.isnan(values[0])
        wanted = [float(log_p[at - 1, token]) for at, token in enumerate(one) if at]
        np.testing.assert_allclose(values[1:], wanted, atol=1e-4)
        last = next_log_p(gpt2, Silent(), [one], [3, 5])
        np.testing.assert_allclose(last[0], log_p[-1, [3, 5]], atol=1e-4)


def test_the_common_ending_is_scored_after_either_beginning(gpt2: Loaded) -> None:
    found = run(gpt2, good=GOOD[:8], bad=BAD[:8], folds=2)
    for number in range(3):
        sums = []
        for text in (GOOD[number], BAD[number]):
            ids = list(gpt2.tokenizer(text)["input_ids"])
            log_p = torch.log_softmax(torch.tensor(api.logits(gpt2, text)), -1)
            ends = range(len(ids) - int(found.n_shared[number]), len(ids))
            sums.append(sum(float(log_p[at - 1, ids[at]]) for at in ends))
        assert found.n_shared[number] >= 2
        assert found.gap[0, number] == pytest.approx(sums[0] - sums[1], abs=1e-3)


@pytest.mark.parametrize("name", PAIR_SETS)
def test_built_in_pairs_end_alike_and_no_word_gives_them_away(name: str) -> None:
    one = named(name)
    words = [
        Counter(word for text in side for word in text.split()) for side in (one.good, one.bad)
    ]
    assert words[0] == words[1]
    assert not set(one.good) & set(one.bad) or name in ("kinds", "verdicts")
    assert not set(one.good) & set(one.bad)
    for good, bad in zip(one.good, one.bad, strict=True):
        assert good.split()[-1] == bad.split()[-1]
    assert len(set(one.groups)) >= 5


def test_the_embedded_model_prefers_what_it_knows_and_fresh_weights_do_not() -> None:
    m = api.load("embedded", device="cpu")
    found = run(m, pairs="agreement", untrained=True, shuffles=19)
    assert found.direct[0] > 0.8
    assert found.nested > 0.9
    assert found.readable
    assert found.words_chosen == pytest.approx(0.5, abs=0.05)
    assert abs(found.untrained_direct[0] - 0.5) < 0.12
    assert np.abs(found.untrained_chosen - 0.5).max() < 0.12
    assert found.chosen[0] == 0.5  # every text ends in a full stop


def test_a_model_is_asked_outright_where_its_tokens_allow_it() -> None:
    m = api.load("embedded", device="cpu")
    found = run(m, pairs="capitals", shuffles=5)
    assert np.isfinite(found.direct).all()
    assert found.direct[0] > 0.9
    assert "asked outright" in drawing.caption(found)
    without = run(m, pairs="capitals", shuffles=5, prompt="")
    assert np.isnan(without.direct[2])
    same = run(m, pairs="capitals", shuffles=5, answers=("true", "true"))
    assert any("does not tell" in note for note in same.notes)


def test_pairs_that_share_a_text_are_held_out_together() -> None:
    one = PairSet("x", ("a b", "a c", "d e", "f g"), ("h b", "a b", "k e", "l g"))
    group = module._groups(one)
    assert group[0] == group[1]
    assert len(set(group.tolist())) == 3
    named_groups = PairSet("x", one.good, one.bad, ("1", "2", "2", "3"))
    assert len(set(module._groups(named_groups).tolist())) == 2


def test_an_encoder_has_probes_only(tiny: Callable[[str], Any]) -> None:
    m = api.load(tiny("bert"), device="cpu")
    found = run(m, good=GOOD[:12], bad=BAD[:12], folds=2, shuffles=3)
    assert np.isnan(found.direct).all()
    assert any("does not continue a text" in note for note in found.notes)
    assert "prefers" not in drawing.title(found)
    drawing.figure(found, Look())
    with pytest.raises(Error, match="does not continue texts"):
        drawing.figure(found, Look(), view="pairs")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "say which minimal pairs"),
        ({"pairs": "kinds", "good": GOOD}, "say which minimal pairs"),
        ({"pairs": "none"}, "no minimal pairs 'none'"),
        ({"good": GOOD, "bad": BAD[:3]}, "a pair needs one of each"),
        ({"good": GOOD[:2], "bad": BAD[:2]}, "give 4 to"),
        ({"good": GOOD, "bad": [GOOD[0], *BAD[1:]]}, "they must differ"),
        ({"good": GOOD, "bad": ["", *BAD[1:]]}, "lacks a text"),
        ({"good": GOOD, "bad": BAD, "groups": ["a"]}, "give one each"),
        ({"good": GOOD, "bad": BAD, "groups": ["a"] * N}, "in one group"),
        ({"good": GOOD, "bad": BAD, "prompt": "true?"}, r"holds \{\} once"),
        ({"good": GOOD, "bad": BAD, "answers": "yes"}, "answers= are two words"),
        ({"good": GOOD, "bad": BAD, "position": "word"}, "have no words"),
        ({"good": GOOD, "bad": BAD, "shuffles": 0}, "a number from 1"),
    ],
)
def test_what_cannot_be_asked_is_a_sentence(
    stories: Loaded, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(Error, match=said):
        run(stories, **options)


def test_typed_pairs_are_read_line_by_line() -> None:
    found = read_lines("a b | a c\n\n d e|d f\ng h | g i\nj k | j l")
    assert found.good == ("a b", "d e", "g h", "j k")
    assert found.bad[1] == "d f"
    with pytest.raises(Error, match="line 1 is not 'acceptable"):
        read_lines("a b")


@pytest.mark.parametrize("view", drawing.VIEWS)
@pytest.mark.parametrize("look", [Look(), Look(dark=True, titled=False)])
def test_the_figures_show_probe_model_and_control(gpt2: Loaded, view: str, look: Look) -> None:
    kinds = ["<b>near</b>", "far"] * (N // 2)
    found = run(gpt2, good=GOOD, bad=BAD, kinds=kinds, shuffles=9, folds=2)
    fig = drawing.figure(found, look, view=view)
    assert "<b>near" not in fig.to_json()
    if view == "layers":
        names = {trace.name for trace in fig.data}
        assert {"probe", "model: common ending", "good and bad exchanged, 90 %"} <= names
    assert "exchanged in pairs 9 times" in drawing.caption(found)
    assert len(found.to_frame()) == N
