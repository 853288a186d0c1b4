"""Retrieval heads: planted ones are found, and the answer needs them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from core import api
from core.analyses.needles import Hay, Prompt
from core.analyses.retrieval import _scores, retrieval
from core.analyses.runs import Silent
from core.engine.last_rows import last_rows
from core.engine.rows import rows
from core.figures import retrieval as drawn
from core.figures.theme import Look
from core.home import ASSETS
from core.models.loaded import Loaded
from core.results.packed import pack, unpack
from core.spec.errors import Error
from tests import planted_heads

SMALL = {"n_depths": 2, "lengths": (150,)}


@pytest.fixture(scope="module")
def embedded() -> Loaded:
    return api.load(ASSETS / "models" / "embedded", device="cpu")


@pytest.mark.parametrize(
    ("make", "site"),
    [
        (planted_heads.gpt2, planted_heads.GPT2_INDUCTION),
        (planted_heads.llama, planted_heads.LLAMA_INDUCTION),
    ],
)
def test_the_planted_head_fetches_every_token_and_no_other_head_does(
    make: Callable[[Path], Path], site: tuple[int, int], tmp_path: Path
) -> None:
    loaded = api.load(make(tmp_path / "model"), device="cpu")
    found = retrieval(loaded, Silent(), source="random", lengths=(60,), n_needles=2)
    others = np.delete(found.score.ravel(), site[0] * 4 + site[1])
    assert found.score[site] == 1.0
    assert found.soft[site] > 0.99
    # The other query head of a planted key head sees a little of its keys.
    assert others.max() <= (0.05 if make is planted_heads.gpt2 else 0.15)
    assert found.control.max() < 0.05
    assert (found.success == 1).all()
    assert found.unmasked == 1.0
    assert found.masked[0] < 0.2
    assert found.masked_control.min() == 1.0


def test_rows_at_the_end_are_those_of_the_whole_pattern(
    tiny: Callable[[str], Path],
) -> None:
    for family in ("gpt2", "mistral", "gemma2", "qwen3", "bloom", "gptj", "gpt_neo"):
        loaded = api.load(tiny(family), device="cpu")
        ids = [9, 14, 21, 9, 33, 40, 14, 27, 19]
        heard: dict[int, torch.Tensor] = {}
        logits = last_rows(loaded, rows(loaded, [ids]), 3, heard.__setitem__)
        for layer in range(loaded.n_layers):
            whole = _pattern(loaded, ids, layer)
            torch.testing.assert_close(heard[layer], whole[:, -3:], atol=1e-6, rtol=1e-5)
        assert logits.shape == (3, loaded.d_vocab)


def _pattern(loaded: Loaded, ids: list[int], layer: int) -> torch.Tensor:
    from core.engine.forward import run
    from core.spec.site import Site

    site = Site(layer, "pattern")
    return run(loaded, rows(loaded, [ids]), read=[site], logits="none").values[site][0]


def test_a_place_looked_at_twice_counts_once() -> None:
    prompt = Prompt((5, 7, 7, 1, 2), (7, 7), (1, 2), 3)
    weights = torch.tensor([[[0.0, 0.9, 0.1, 0, 0], [0.0, 0.8, 0.2, 0, 0]]])
    found = _scores(weights, prompt, [(0, 1)], False)
    assert found["score"].tolist() == [0.5]
    assert found["soft"].tolist() == pytest.approx([0.55])
    assert found["control"].tolist() == [0.5]  # the second query looks at the span's second place


def test_the_first_token_can_be_left_out_of_the_candidates() -> None:
    prompt = Prompt((5, 7, 8, 1), (7,), (1,), 3)
    weights = torch.tensor([[[0.7, 0.3, 0.0, 0.0]]])
    assert _scores(weights, prompt, [(2,)], False)["score"].item() == 0
    assert _scores(weights, prompt, [(2,)], True)["score"].item() == 1


def test_the_needle_lies_where_it_should_and_is_what_is_asked_for(embedded: Loaded) -> None:
    hay = Hay(embedded, "text", None, 0)
    at = []
    for depth in (0.0, 0.5, 1.0):
        prompt = hay.prompt(1, 400, depth)
        assert prompt is not None
        assert len(prompt.ids) <= 400
        assert [prompt.ids[place] for place in prompt.places] == list(prompt.wanted)
        assert prompt.ids[1 - len(prompt.wanted) :] == prompt.wanted[:-1]
        for span in hay.chance(prompt, 8):
            assert not set(span) & set(prompt.places)
            assert max(span) < prompt.end
        at.append(prompt.places[0])
    assert at == sorted(at)
    assert at[2] - at[0] > 200


def test_the_embedded_model_fetches_with_heads_it_cannot_do_without(embedded: Loaded) -> None:
    found = retrieval(embedded, Silent(), source="random", lengths=(120,), n_depths=6)
    best = np.unravel_index(found.score.argmax(), found.score.shape)
    assert found.score[best] > 10 * max(found.control[best], 0.02)
    three = list(found.k).index(5)
    assert found.masked_log_p[three] < found.masked_control_log_p[three].min() - 1


def test_scores_never_exceed_one_and_a_saved_answer_is_the_same(stories: Loaded) -> None:
    found = retrieval(stories, Silent(), **SMALL)
    for name in ("score", "soft", "control", "control_soft"):
        values = getattr(found, name)
        assert ((values >= 0) & (values <= 1)).all()
    assert found.n_prompts + found.n_lost == 2
    again = unpack("key", pack("key", found))
    np.testing.assert_array_equal(again.score, found.score)  # type: ignore[attr-defined]


@pytest.mark.parametrize("view", drawn.VIEWS)
@pytest.mark.parametrize("dark", [False, True])
def test_every_view_is_drawn_with_named_axes(stories: Loaded, view: str, dark: bool) -> None:
    found = retrieval(stories, Silent(), **SMALL)
    fig = drawn.figure(found, Look(dark=dark), view=view)
    assert fig.layout.xaxis.title.text
    assert fig.layout.yaxis.title.text
    assert "control" in drawn.caption(found)
    assert "2 prompts" in drawn.caption(found)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"needle": "A long tale. " * 300, "question": "What?", "answer": "tale"}, "takes at most"),
        ({"needle": "The key is red."}, "three texts"),
        ({"needle": "a b", "question": "c?", "answer": "d"}, "word for word"),
        ({"source": "images"}, "text or random"),
        ({"lengths": (3,)}, "the needle alone"),
        ({"lengths": (10**6,)}, "the context of"),
        ({"n_depths": 0}, "from 1 to 100"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_a_sentence(
    stories: Loaded, options: dict[str, object], sentence: str
) -> None:
    with pytest.raises(Error, match=sentence):
        retrieval(stories, Silent(), **options)  # type: ignore[arg-type]


def test_an_encoder_and_an_encoder_decoder_are_refused(tiny: Callable[[str], Path]) -> None:
    for family in ("bert", "t5"):
        with pytest.raises(Error, match="does not continue a text"):
            retrieval(api.load(tiny(family), device="cpu"), Silent())
