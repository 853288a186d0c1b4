"""Heads ranked by effect: a planted writer of a concept is found, and shares add up."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from core import api
from core.engine.forward import run
from core.engine.head_attribution import written_along
from core.engine.rows import text_rows
from core.models.loaded import Loaded
from core.spec.site import Site
from tests import planted_heads
from tests.core.test_head_causes import DECODERS, PLANTED, REPEAT, TEXT, fresh
from tests.families.recipes import FAMILIES

WRITER = (0, 2)  # the head that says "one of these words"
LISTED = range(1, 13)
UP = [f"w{20 + n % 12} w{n}" for n in LISTED]
DOWN = [f"w{20 + n % 12} w{n}" for n in range(13, 25)]
PROVABLE = [name for name in FAMILIES if name != "distilbert"]


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    """A model whose head L0.head[2] writes one coordinate when it stands on a listed word."""
    m = fresh(planted_heads.gpt2(tmp_path_factory.mktemp("writer") / "gpt2"))
    layer, head = WRITER
    attn = m.module.transformer.h[layer].attn  # type: ignore[union-attr]
    with torch.no_grad():
        query, key, value, out = planted_heads._gpt2_head(attn, head)
        place = torch.arange(planted_heads.POSITIONS)
        query[planted_heads.PLACE, place] = 3.0
        key[planted_heads.PLACE, place] = 3.0
        value[planted_heads.TOKEN[list(LISTED)], 0] = 1.0
        out[0, 200] = 0.5
    return m


def test_the_head_planted_to_write_a_concept_ranks_first(writer: Loaded) -> None:
    result = api.run("head_ranking", writer, positive=UP, negative=DOWN, layer=0)
    assert result.order[0] == WRITER
    assert result.effect[WRITER] > 0.9
    assert result.separation == 1
    scores = result.columns
    assert scores["auc"][WRITER] == 1
    assert scores["share"][WRITER] > 0.9
    others = [(0, head) for head in (0, 1, 3)]
    for at in others:
        assert abs(result.effect[at]) < 0.05
        assert abs(scores["share"][at]) < 0.05
    assert result.labels_of(*WRITER) == ("writes",)
    assert result.writes_and_reads["writes"].sum() == 1
    assert "writes" in result.to_frame().labels[0]
    assert abs(result.control[WRITER]) < 0.3
    assert np.isnan(result.effect[1]).all()  # behind the layer: it cannot matter to it
    assert result.n_built == (6, 6)
    assert result.n_texts == 12


@pytest.mark.parametrize("family", PROVABLE)
def test_shares_of_what_writes_a_concept_add_up_to_all_of_it(
    family: str, tiny: Callable[[str], Path]
) -> None:
    m = api.load(tiny(family), device="cpu")
    up = ["the cat sat", "a cat", "one more cat ran", "cat and cat", "big cat"]
    down = ["the dog sat", "a dog", "one more dog ran", "dog and dog", "big dog"]
    result = api.run("head_ranking", m, positive=up, negative=down, layer=1, position="mean")
    assert np.isfinite(result.effect[:2]).all()
    assert np.isnan(result.effect[2:]).all()
    if any(block.norm_after for block in m.stacks[m.prompt_stack].blocks):
        assert np.isnan(result.start)
        assert any("norms" in note for note in result.notes)
        return
    assert result.start + result.attention.sum() + result.mlp.sum() == pytest.approx(1, abs=2e-3)
    assert np.isfinite(result.columns["read_gain"][1]).all()
    assert np.isnan(result.columns["read_gain"][0]).all()


@pytest.mark.parametrize("family", DECODERS)
def test_what_heads_write_along_a_direction_adds_up_to_the_attentions_part(
    family: str, tiny: Callable[[str], Path]
) -> None:
    m = api.load(tiny(family), device="cpu")
    sites = [Site(1, "head"), Site(1, "attn_out")]
    seen = run(m, text_rows(m, TEXT), read=sites, logits="none").values
    reads = torch.randn(2, m.d_model, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        along = written_along(m, 1, reads, seen[sites[0]])
    whole = torch.einsum("rtd,kd->krt", seen[sites[1]], reads)
    left = whole - along.sum(dim=-1)  # what biases add: the same at every token
    if m.stacks[""].blocks[1].post_attn is None:
        torch.testing.assert_close(left, left[..., :1].expand_as(left), atol=1e-4, rtol=1e-3)
    else:
        torch.testing.assert_close(left, torch.zeros_like(left), atol=1e-4, rtol=1e-3)


def test_effects_on_a_concept_are_those_of_the_head_at_its_mean(stories: Loaded) -> None:
    up = ["She was happy", "a big happy dog", "Tom was so happy", "They are happy"]
    down = ["She was sad", "a big sad dog", "Tom was so sad", "They are sad"]
    result = api.run("head_ranking", stories, positive=up, negative=down, layer=3, seed=2)
    vector = np.zeros(stories.d_model)
    vector[7] = 2.0
    given = api.run(
        "head_ranking", stories, positive=up, negative=down, layer=3, direction=list(vector), seed=2
    )
    assert given.n_built == (0, 0)
    assert given.n_texts == result.n_texts == 4
    rng = np.random.default_rng(2)
    ups, downs = rng.permutation(4)[2:], rng.permutation(4)[2:]
    texts = [up[i] for i in ups] + [down[i] for i in downs]
    site, last = Site(2, "head", 5), Site(3, "resid_post")
    held = [run(stories, text_rows(stories, t), read=[site], logits="none").values for t in texts]
    mean = torch.cat([one[site][0] for one in held]).mean(dim=0)
    put = [api.Scale(site, 0.0), api.Add(site, mean.tolist(), 1.0)]
    found = []
    for change in ([], put):
        values = [
            run(stories, text_rows(stories, t), read=[last], change=[change], logits="none")
            for t in texts
        ]
        along = [float(one.values[last][0, -1, 7]) for one in values]
        found.append(sum(along[:2]) / 2 - sum(along[2:]) / 2)
    assert given.gap == pytest.approx(found[0], abs=1e-4)
    assert given.effect[2, 5] == pytest.approx(1 - found[1] / found[0], abs=1e-3)


@pytest.mark.parametrize("form", PLANTED)
def test_a_prompts_ranking_is_that_of_effects_not_of_attention(
    form: str, planted_forms: dict[str, Loaded]
) -> None:
    m = planted_forms[form]
    result = api.run("head_ranking", m, text=REPEAT, position=30)
    effect = api.run("head_effect", m, text=REPEAT, position=30)
    np.testing.assert_array_equal(result.effect, effect.effect)
    assert set(result.order[:2]) == set(PLANTED[form])
    assert result.writes_and_reads == {}
    assert "labels" not in result.to_frame()
    assert result.noise < 0.02
    pattern = api.trace(m, REPEAT, ["L0.pattern@30"])["L0.pattern@30"]
    np.testing.assert_allclose(result.columns["attention"][0], pattern[:, 0].max(-1), atol=1e-5)


@pytest.fixture(scope="module")
def planted_forms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Loaded]:
    root = tmp_path_factory.mktemp("planted-forms")
    return {
        "gpt2": fresh(planted_heads.gpt2(root / "gpt2")),
        "llama": fresh(planted_heads.llama(root / "llama")),
    }


def test_what_cannot_be_ranked_is_refused_in_a_sentence(stories: Loaded) -> None:
    few = {"positive": ["a", "b", "c"], "negative": ["d", "e", "f"]}
    four = {"positive": ["a b", "b c", "c d", "d e"], "negative": ["e f", "f g", "g h", "h i"]}
    for options, said in (
        ({}, "give a text, or a concept"),
        ({"text": TEXT, **four}, "give a text, or a concept"),
        (few, "at least 4"),
        ({**four, "layer": 9}, "0 to 4"),
        ({**four, "to": "resample"}, "mean or zero"),
        ({**four, "direction": [1.0]}, "layer="),
        ({**four, "direction": [1.0], "layer": 2}, "64 finite numbers"),
        ({**four, "position": 3}, "'last'"),
        ({"text": TEXT, "position": "last"}, "a number"),
        ({**four, "most": 0}, "at least 1"),
    ):
        with pytest.raises(api.Error, match=said):
            api.run("head_ranking", stories, **options)


def test_only_the_heads_that_write_most_are_ablated_when_few_may_be(stories: Loaded) -> None:
    result = api.run("head_ranking", stories, concept="sentiment", most=5)
    assert len(result.order) == np.isfinite(result.effect).sum() == 5
    assert len(result.to_frame()) == 5
    share = np.abs(np.nan_to_num(result.columns["share"]))
    assert share[np.isfinite(result.effect)].min() >= np.sort(share.ravel())[-5]
