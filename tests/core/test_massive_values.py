"""Massive values: planted ones are found, sizes are those of the heads, disruption by hand."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from core import api
from core.analyses.massive_values import massive, massive_values
from core.analyses.runs import Silent
from core.corpus.packs import pack
from core.engine import attention
from core.engine.forward import run
from core.engine.rows import rows, text_rows
from core.figures import massive_values as drawn
from core.figures.theme import Look
from core.home import ASSETS
from core.models.loaded import Loaded
from core.results.massive_values import MassiveValues
from core.spec.errors import Error
from core.spec.site import Site

TEXT = "Once upon a time, there was a little girl named Lily."


@pytest.fixture(scope="module")
def embedded() -> Loaded:
    return api.load(ASSETS / "models" / "embedded", device="cpu")


@pytest.fixture(scope="module")
def result(embedded: Loaded) -> MassiveValues:
    tasks = ("repeated_tokens", "successions")
    return massive_values(embedded, Silent(), tasks=tasks, n_cases=6, factor=2.5)


def test_sizes_are_root_mean_squares_of_what_attention_receives(stories: Loaded) -> None:
    found = massive_values(stories, Silent(), texts=[TEXT], tasks=())
    heard: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []

    def hear(_: object, query: torch.Tensor, key: torch.Tensor, __: object, options: dict) -> None:  # type: ignore[type-arg]
        heard.append((query[0], key[0], options["value"][0]))

    with attention.listening(hear):
        run(stories, text_rows(stories, TEXT), logits="last")
    for layer, parts in enumerate(heard):
        for name, values in zip("qkv", parts, strict=True):
            wanted = values.double().square().mean(1).sqrt()
            np.testing.assert_allclose(getattr(found, name)[layer], wanted, rtol=1e-4)


def test_pairs_do_not_depend_on_where_the_token_stands(stories: Loaded) -> None:
    short = massive_values(stories, Silent(), texts=[TEXT], tasks=())
    # Both coordinates of a pair turn by position; the length of the pair does not.
    n = short.pair_k.shape[-1]
    a, b = short.k[..., 0::2], short.k[..., 1::2]
    halves = np.sqrt(short.k[..., :n] ** 2 + short.k[..., n:] ** 2)
    np.testing.assert_allclose(short.pair_k, halves, rtol=1e-5)
    assert not np.allclose(short.pair_k, np.sqrt(a**2 + b**2), rtol=1e-2)
    assert (np.diff(short.speed[0]) < 0).all()


def test_a_planted_channel_is_massive_and_a_random_rotation_spreads_it(
    tiny: Callable[[str], Path],
) -> None:
    loaded = api.load(tiny("gpt2"), device="cpu")
    width = loaded.d_model
    bias = loaded.stacks[""].blocks[1].attn.c_attn.bias  # type: ignore[union-attr]
    with torch.no_grad():
        bias[5] += 1_000.0  # type: ignore[index]
        bias[width + loaded.d_head + 3] += 1_000.0  # type: ignore[index]
    found = massive_values(loaded, Silent(), tasks=())
    assert np.argwhere(massive(found.q[1], 5.0)).tolist() == [[0, 5]]
    assert np.argwhere(massive(found.k[1], 5.0)).tolist() == [[1, 3]]
    assert found.n_q.tolist() == [0, 1, 0]
    assert found.n_k.tolist() == [0, 1, 0]
    assert found.random_q.sum() + found.random_k.sum() == 0
    assert found.pair_q.shape[-1] == 0
    assert np.isnan(found.slow_q).all()
    assert "does not turn" in found.notes[0]


def test_the_largest_channel_carries_what_the_prompt_says_and_others_do_not(
    result: MassiveValues,
) -> None:
    lost = result.log_p[0] - result.log_p[1:]
    assert lost[0, 0] > 2
    assert abs(lost[1, 0]) < 0.5  # the smallest channel
    assert lost[2, 0] < lost[0, 0]  # one at random may be one of the larger
    assert lost[0, 0] > lost[0, 1] + 2  # successions are known by heart
    assert result.in_context == (True, False)


def test_the_tasks_as_they_are_equal_plain_runs(embedded: Loaded, result: MassiveValues) -> None:
    cases = pack(embedded, "repeated_tokens").cases[:6]
    log_p = [
        run(embedded, rows(embedded, [c.ids]), logits="last")
        .logits[0, -1]
        .log_softmax(-1)[c.answer]  # type: ignore[index]
        for c in cases
    ]
    assert result.log_p[0, 0] == pytest.approx(float(np.mean(log_p)), abs=1e-4)


def test_a_stand_in_changes_attention_only_while_it_stands_in(stories: Loaded) -> None:
    """The stand-in gets what the model would have called, and is gone afterwards."""
    text, site = text_rows(stories, TEXT), Site(0, "head")
    before = run(stories, text, read=[site]).values[site]

    def same(go_on, module, query, key, value, mask, options):  # type: ignore[no-untyped-def]
        return go_on(module, query, key, value, mask, **options)

    def zero(go_on, module, query, key, value, mask, options):  # type: ignore[no-untyped-def]
        return go_on(module, query, key, value * 0, mask, **options)

    with attention.standing_in(same):
        assert torch.equal(run(stories, text, read=[site]).values[site], before)
    with attention.standing_in(zero):
        assert not run(stories, text, read=[site]).values[site].any()
    assert torch.equal(run(stories, text, read=[site]).values[site], before)


@pytest.mark.parametrize("view", drawn.VIEWS)
@pytest.mark.parametrize("dark", [False, True])
def test_every_view_is_drawn_with_named_axes(result: MassiveValues, view: str, dark: bool) -> None:
    fig = drawn.figure(result, Look(dark=dark), view=view, layer=3)
    axes = [axis.title.text for axis in (*fig.select_xaxes(), *fig.select_yaxes())]
    assert any(axes)
    assert "control" in drawn.caption(result)
    assert "6" in drawn.caption(result)


@pytest.mark.parametrize("family", ["bert", "t5", "gemma3_text", "cohere2", "phi", "mixtral"])
def test_families_answer_without_tasks_where_there_is_no_next_token(
    family: str, tiny: Callable[[str], Path]
) -> None:
    loaded = api.load(tiny(family), device="cpu")
    found = massive_values(loaded, Silent(), texts=["a b c d e f g"], tasks=())
    assert found.q.shape[:2] == (len(loaded.stacks[loaded.prompt_stack].blocks), loaded.n_heads)
    assert np.isfinite(found.q).all()
    assert len(found.loss) == (4 if loaded.kind == "decoder" else 0)


def test_what_cannot_be_asked_is_refused_with_a_sentence(
    tiny: Callable[[str], Path], stories: Loaded
) -> None:
    with pytest.raises(Error, match="does not hand out its queries and keys"):
        massive_values(api.load(tiny("bloom"), device="cpu"), Silent())
    with pytest.raises(Error, match="no task 'x'"):
        massive_values(stories, Silent(), tasks=("x",))
    with pytest.raises(Error, match="factor says"):
        massive_values(stories, Silent(), factor=0.5)
    with pytest.raises(Error, match="n_cases must be"):
        massive_values(stories, Silent(), n_cases=0)
