"""Contexts where a head attends most: planted heads, the patterns themselves, bad input."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import api
from core.figures import head_contexts as drawing
from core.figures.theme import Look
from core.models.loaded import Loaded
from core.results.head_contexts import HeadContexts
from core.results.packed import pack, unpack
from core.spec.errors import Error
from tests import planted_heads

TEXTS = tuple(planted_heads.repeated_text(seed=seed) for seed in range(8))
STORY = (
    "Once upon a time, there was a little girl named Lily. Lily had a big red ball. One day she "
    "went to the park with her mom. She saw a dog, and the dog ran to the ball.",
    "Tom and Sam were friends. They liked to play in the sun. Tom had a red car and Sam had a "
    "blue car. The cars went fast, and the boys were happy all day.",
)


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def planted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Loaded, tuple[int, int], tuple[int, int]]:
    """(model, where the previous-token head is, where the induction head is)."""
    folder = tmp_path_factory.mktemp("planted") / request.param
    if request.param == "gpt2":
        made, at = planted_heads.gpt2(folder), planted_heads
        return api.load(made, device="cpu"), at.GPT2_PREVIOUS, at.GPT2_INDUCTION
    made = planted_heads.llama(folder)
    return api.load(made, device="cpu"), planted_heads.LLAMA_PREVIOUS, planted_heads.LLAMA_INDUCTION


def asked(loaded: Loaded, at: tuple[int, int], **options: Any) -> HeadContexts:
    given = {"corpus": TEXTS, **options}
    found: HeadContexts = api.run("head_contexts", loaded, layer=at[0], head=at[1], **given)
    return found


def share(found: HeadContexts, relation: str) -> tuple[float, float]:
    place = found.relations.index(relation)
    return float(found.relation[place]), float(found.random_relation[place])


def test_the_strongest_pairs_of_planted_heads_are_what_was_planted(planted: Any) -> None:
    m, previous, induction = planted
    for at, relation in ((previous, "one back"), (induction, "behind equal")):
        found = asked(m, at)
        own, random = share(found, relation)
        assert own == 1
        assert random < 0.1
        assert found.largest > 0.999
        assert found.random_mean < 0.1
        top = [place for place, group in enumerate(found.group) if group == "top"]
        assert len(top) == 8
        for place in top:
            tokens, query = found.tokens[place], int(found.query[place])
            key = int(found.key[place])
            same = key == query - 1 if relation == "one back" else tokens[key - 1] == tokens[query]
            assert same
            assert found.weight[place] > 7 * found.uniform[place]
        assert drawing.title(found).startswith(f"L{at[0]}.head[{at[1]}] looks with at most 1; 100%")


def test_a_head_in_which_nothing_was_planted_has_nothing_in_common_beyond_chance(
    planted: Any,
) -> None:
    m, *_ = planted
    found = asked(m, (0, 3))
    assert found.largest < 0.5
    for relation in ("one back", "behind equal"):
        assert share(found, relation)[0] < 0.5


def test_every_number_is_that_of_the_patterns_themselves(stories: Loaded) -> None:
    found = asked(stories, (3, 6), corpus=STORY, n_contexts=2)
    best, rest = [], []
    for text in STORY:
        pattern = api.trace(stories, text, ["L3.pattern"])["L3.pattern"][6]
        for query in range(8, len(pattern)):  # token 0 does not count: 8 keys from here on
            best.append(pattern[query, 1 : query + 1].max())
            rest.append(pattern[query, 0])
    assert found.n_queries == len(best)
    assert found.mean == pytest.approx(np.mean(best), abs=1e-6)
    assert found.largest == pytest.approx(np.max(best), abs=1e-6)
    assert found.rest == pytest.approx(np.mean(rest), abs=1e-5)
    np.testing.assert_array_equal(found.counts, np.histogram(best, np.linspace(0, 1, 51))[0])
    for place, query in enumerate(found.query.tolist()):
        text = STORY[int(found.document[place])]
        pattern = api.trace(stories, text, ["L3.pattern"])["L3.pattern"][6]
        row = found.attention[place][: len(pattern)]
        np.testing.assert_allclose(row, pattern[query], atol=1e-5)
        assert np.isnan(found.attention[place][len(pattern) :]).all()
        assert found.key[place] == 1 + pattern[query, 1 : query + 1].argmax()
        assert found.weight[place] == pytest.approx(row[found.key[place]], abs=1e-6)
        assert found.uniform[place] == pytest.approx(1 / query)


def test_pairs_are_spread_over_the_range_and_not_only_its_top(stories: Loaded) -> None:
    found = asked(stories, (4, 3), corpus="reference", n_contexts=64)
    assert found.band_share.sum() == pytest.approx(1)
    for band in range(1, 6):
        inside = [
            w for w, group in zip(found.weight, found.group, strict=True) if group == str(band)
        ]
        assert len(inside) == 3
        low, high = found.largest * (band - 1) / 5, found.largest * band / 5
        assert all(low - 1e-6 <= weight <= high + 1e-6 for weight in inside)
        assert max(inside) - min(inside) > 0.3 * (high - low)
    shown = [n for n, group in zip(found.context, found.group, strict=True) if group == "top"]
    assert len(set(shown)) == len(shown)


def test_neither_batches_nor_their_order_change_anything(
    stories: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = asked(stories, (1, 3), corpus="reference", n_contexts=24)
    monkeypatch.setattr("core.analyses.head_contexts.TOKENS_AT_ONCE", 150)
    two = asked(stories, (1, 3), corpus="reference", n_contexts=24)
    for name, array in one.arrays().items():
        np.testing.assert_allclose(array, two.arrays()[name], atol=1e-5, err_msg=name)


@pytest.mark.parametrize("family", ["gemma2", "qwen3", "bert", "t5", "falcon", "opt"])
def test_every_kind_of_model_answers(family: str, tiny: Callable[[str], Path]) -> None:
    m = api.load(tiny(family), device="cpu")
    texts = ("the cat sat on the mat and the dog sat on the cat and the mat sat there",) * 2
    found = asked(m, (0, 1), corpus=texts)
    assert found.site == ("enc." if family == "t5" else "") + "L0.head[1]"
    assert ("one ahead" in found.relations) == (family in ("bert", "t5"))
    assert np.isfinite(found.weight).all()
    assert unpack("k", pack("k", found)).text() == found.text()
    for dark in (False, True):
        assert drawing.figure(found, Look(dark=dark)).data
    assert "random key" in drawing.caption(found)


def test_a_changed_model_is_looked_at_as_it_is_changed(stories: Loaded) -> None:
    clean = asked(stories, (3, 6), corpus=STORY)
    flat = asked(stories, (3, 6), corpus=STORY, interventions=[api.Ablate("L2.resid_post")])
    assert flat.sites == ("L2.resid_post",)
    assert flat.largest < clean.largest


def test_texts_too_short_and_strange_numbers_are_refused(stories: Loaded) -> None:
    with pytest.raises(Error, match="sees 8 others"):
        asked(stories, (0, 0), corpus=("a cat",))
    with pytest.raises(Error, match="n_shown must be a whole number"):
        asked(stories, (0, 0), corpus=STORY, n_shown=-1)
    with pytest.raises(Error, match="layers 0 to 4"):
        asked(stories, (9, 0), corpus=STORY)
    with pytest.raises(Error, match="every token"):
        asked(stories, (0, 0), corpus=STORY, interventions=[api.Ablate("L0.mlp_out@2")])
