"""Two heads side by side: likeness against plain sums, effects against single ablations."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core import api
from core.figures import head_compare as drawing
from core.figures.theme import Look
from core.models.loaded import Loaded
from core.results.head_compare import MEASURES, HeadCompare
from core.results.packed import pack, unpack
from core.spec.errors import Error
from tests import planted_heads

TEXT = "Once upon a time, there was a little girl named Lily. Lily had a big red ball."


def compared(loaded: Loaded, one: tuple[int, int], other: tuple[int, int], **more: Any) -> Any:
    found: HeadCompare = api.run(
        "head_compare", loaded, text=more.pop("text", TEXT), layer=one[0], head=one[1],
        other_layer=other[0], other_head=other[1], **more,
    )  # fmt: skip
    return found


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return api.load(planted_heads.gpt2(tmp_path_factory.mktemp("planted") / "m"), device="cpu")


def test_every_measure_is_what_it_says_of_the_patterns_and_writes_themselves(
    stories: Loaded,
) -> None:
    found = compared(stories, (3, 6), (1, 3))
    seen = api.trace(stories, TEXT, ["L3.pattern", "L1.pattern", "L3.head", "L1.head"])
    a, b = seen["L3.pattern"][6][1:].astype(float), seen["L1.pattern"][3][1:].astype(float)
    n = len(a) + 1
    even = np.tril(np.ones((n, n)))[1:] / np.arange(2, n + 1)[:, None]
    visible = even > 0
    write = {
        at: stories.module.model.layers[at]
        .self_attn.o_proj.weight.detach()
        .numpy()
        .T.reshape(8, 8, 64)
        for at in (3, 1)
    }
    u = (seen["L3.head"][1:, 6] @ write[3][6]).astype(float)
    v = (seen["L1.head"][1:, 3] @ write[1][3]).astype(float)
    cosine = (u * v).sum(1) / np.linalg.norm(u, axis=1) / np.linalg.norm(v, axis=1)
    wanted = {
        "common": np.minimum(a, b).sum(1).mean(),
        "pattern": np.corrcoef((a - even)[visible], (b - even)[visible])[0, 1],
        "cosine": cosine.mean(),
        "output": np.corrcoef((u - u.mean(0)).ravel(), (v - v.mean(0)).ravel())[0, 1],
    }
    for place, name in enumerate(MEASURES):
        # Centring each pattern, as corrcoef does, changes nothing: its rows sum to 0 already.
        assert found.alike[place] == pytest.approx(wanted[name], abs=2e-4), name
    assert found.n_others == 14
    assert (found.others <= found.most).all()
    exact = seen["L3.pattern"][6] - seen["L1.pattern"][3]
    np.testing.assert_allclose(found.difference / 255, exact, atol=0.003)
    np.testing.assert_allclose(found.pattern[0] / 255, seen["L3.pattern"][6], atol=0.003)


def test_two_copies_of_a_head_are_wholly_alike_and_others_are_not(tmp_path: Path) -> None:
    m = api.load(planted_heads.gpt2(tmp_path / "m"), device="cpu")
    with torch.no_grad():
        attn, size = m.module.transformer.h[0].attn, planted_heads.WIDTH // 4
        for part in range(3):
            own = attn.c_attn.weight[:, part * planted_heads.WIDTH :]
            own[:, size : 2 * size] = own[:, :size]
        attn.c_proj.weight[size : 2 * size] = attn.c_proj.weight[:size]
    found = compared(m, (0, 0), (0, 1), text=planted_heads.repeated_text())
    np.testing.assert_allclose(found.alike, 1, atol=1e-5)
    assert (found.most[1:] < 0.5).all()
    assert np.abs(found.difference).max() == 0


def test_heads_of_one_chain_cost_less_together_than_the_sum_of_each(planted: Loaded) -> None:
    text = planted_heads.repeated_text()
    text = text[: text.rindex(" ")]
    found = compared(planted, planted_heads.GPT2_PREVIOUS, planted_heads.GPT2_INDUCTION, text=text)
    first, second, both = found.effect
    assert min(first, second) > 2
    assert both == pytest.approx(max(first, second), rel=0.2)  # one link missing breaks the chain
    together, control = found.together
    assert together < -2
    assert abs(control) < 0.5
    assert np.abs(found.control).max() < 0.5


def test_effects_and_controls_are_those_of_all_heads(stories: Loaded) -> None:
    every = api.run("head_effect", stories, text=TEXT)
    found = compared(stories, (3, 6), (1, 3))
    for case, at in enumerate(((3, 6), (1, 3))):
        assert found.effect[case] == pytest.approx(every.effect[at], abs=1e-5)
        assert found.control[case] == pytest.approx(every.control[at], abs=1e-5)
    assert found.answer == every.answer


def test_the_order_of_the_two_turns_the_difference_round_and_nothing_else(
    stories: Loaded,
) -> None:
    one, other = compared(stories, (3, 6), (1, 3)), compared(stories, (1, 3), (3, 6))
    np.testing.assert_allclose(one.alike, other.alike, atol=1e-6)
    np.testing.assert_array_equal(one.difference, -other.difference)
    assert one.effect[2] == pytest.approx(other.effect[2], abs=1e-5)


def test_a_cell_of_a_long_text_is_the_largest_in_size(stories: Loaded) -> None:
    whole, small = compared(stories, (3, 6), (1, 3)), compared(stories, (3, 6), (1, 3), side=5)
    step, n = small.step, len(whole.tokens)
    assert small.difference.shape == (-(-n // step),) * 2
    part = whole.difference[step : 2 * step, :step]
    assert small.difference[1, 0] == part.ravel()[np.abs(part).argmax()]
    assert small.pattern[1, 1, 0] == whole.pattern[1, step : 2 * step, :step].max()


@pytest.mark.parametrize("family", ["gemma2", "qwen3", "bert", "t5", "falcon", "opt"])
def test_every_kind_of_model_answers(family: str, tiny: Callable[[str], Path]) -> None:
    m = api.load(tiny(family), device="cpu")
    found = compared(m, (1, 0), (0, 1), text="the cat sat on the mat")
    assert np.isfinite(found.alike).all()
    assert np.isfinite(found.effect).all() == (m.head is not None)
    assert unpack("k", pack("k", found)).text() == found.text()
    for view in drawing.VIEWS:
        for dark in (False, True):
            assert drawing.figure(found, Look(dark=dark), view=view).data
    assert "other heads of their layers" in drawing.caption(found)


def test_a_clamp_in_place_is_in_both_patterns(stories: Loaded) -> None:
    clean = compared(stories, (3, 6), (1, 3))
    held = compared(stories, (3, 6), (1, 3), interventions=[api.Ablate("L2.mlp_out")])
    assert (held.pattern[0] != clean.pattern[0]).any()
    np.testing.assert_array_equal(held.pattern[1], clean.pattern[1])


def test_one_head_and_one_token_and_no_such_head(
    stories: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Error, match="cannot be compared with itself"):
        compared(stories, (1, 3), (1, 3))
    with pytest.raises(Error, match="layers 0 to 4"):
        compared(stories, (1, 3), (7, 0))
    single = compared(stories, (1, 3), (1, 2), text="")  # the tokenizer adds a token
    assert np.isnan(single.alike).all()
    assert np.isfinite(single.effect).all()
    monkeypatch.setattr("core.analyses.head_patterns.MOST_BYTES", 4 * 8 * 2 * 100)
    with pytest.raises(Error, match="at most 10 tokens"):
        compared(stories, (1, 3), (1, 2))
