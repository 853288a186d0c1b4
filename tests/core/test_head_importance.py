"""Importance of all heads from a few passes back: against true ablation, and planted heads."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from core import api
from core.engine.forward import run
from core.engine.gradients import head_gradients
from core.engine.head_sets import disguises, donated, fixed, replaced, tiled
from core.engine.loss import next_token_losses
from core.engine.rows import Rows, rows, text_rows
from core.engine.writes import write_matrix
from core.models.loaded import Loaded
from core.models.tokens import decode, encode
from core.spec.site import Site
from tests import planted_heads
from tests.core.test_head_causes import DECODERS, TEXT, fresh

REPEATS = [planted_heads.repeated_text(20, seed) for seed in range(12)]


@pytest.fixture(scope="module")
def told(stories: Loaded) -> list[str]:
    """48 stories that the model itself tells: text of its own kind, under nobody's licence."""
    ids = torch.tensor([encode(stories, "Once upon a time")] * 48)
    drawn = torch.Generator().manual_seed(0)
    for _ in range(56):
        logits = run(stories, Rows(ids, (ids.shape[1],) * 48), logits="last").logits
        assert logits is not None
        new = torch.multinomial(logits[:, -1].softmax(-1), 1, generator=drawn)
        ids = torch.cat([ids, new], dim=1)
    return [decode(stories, row.tolist()) for row in ids]


@pytest.fixture(scope="module")
def soft(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    folder = tmp_path_factory.mktemp("soft") / "gpt2"
    return fresh(planted_heads.gpt2(folder, back=0.7, match=0.5))


def logits(m: Loaded, batch: Rows) -> torch.Tensor:
    found = run(m, batch).logits
    assert found is not None
    return found


def loss(m: Loaded, batch: Rows) -> float:
    return float(next_token_losses(logits(m, batch), batch).double().sum())


def test_the_estimate_orders_heads_as_true_ablation_does(stories: Loaded, told: list[str]) -> None:
    result = api.run("head_importance", stories, corpus=told, window=64, exact=20)
    assert len(result.exact) == result.estimate.size == 40
    assert result.spearman > 0.75
    assert result.pearson > 0.8
    assert result.reliable
    np.testing.assert_allclose(result.estimate, result.first + result.second)
    exact = result.to_frame().set_index("site").exact
    # Of 40 heads, measured on other stories elsewhere: L4H3, L4H0 and L4H4 lead.
    leading = exact.sort_values(ascending=False).index[:8]
    assert len({"L4.head[3]", "L4.head[0]", "L4.head[4]"} & set(leading)) >= 2
    # First order alone says much less, as the mean of a head is nearly a resting point.
    first = result.first[result.layer, result.head]
    assert np.corrcoef(first, result.exact)[0, 1] < result.pearson - 0.2
    # The control is a change of the same size, so its estimate is judged alike.
    control = result.control[result.layer, result.head]
    assert np.corrcoef(control, result.exact_control)[0, 1] > 0.5


@pytest.mark.parametrize("to", ["mean", "zero"])
def test_exact_effects_are_those_of_one_text_and_one_head_at_a_time(
    stories: Loaded, told: list[str], to: str
) -> None:
    texts = [text[: 60 + 7 * number] for number, text in enumerate(told[:5])]
    result = api.run("head_importance", stories, corpus=texts, exact=2, to=to, samples=1)
    alone = [text_rows(stories, text) for text in texts]
    assert result.n_tokens == sum(batch.ids.shape[1] - 1 for batch in alone)
    clean = [loss(stories, batch) for batch in alone]
    assert result.loss == pytest.approx(sum(clean) / result.n_tokens, abs=1e-5)
    for layer, head, exact in zip(result.layer, result.head, result.exact, strict=True):
        site = Site(int(layer), "head", int(head))
        held = [run(stories, one, read=[site], logits="none").values[site][0] for one in alone]
        mean = torch.cat(held).mean(dim=0) if to == "mean" else torch.zeros(stories.d_head)
        put = [api.Scale(site, 0.0), api.Add(site, mean.tolist(), 1.0)]
        lost = 0.0
        for one, own in zip(alone, clean, strict=True):
            after = run(stories, one, change=[put]).logits
            assert after is not None
            lost += float(next_token_losses(after, one).double().sum()) - own
        assert exact == pytest.approx(lost / result.n_tokens, abs=2e-5)


def test_a_planted_pair_of_heads_matters_and_no_other_head_does(soft: Loaded) -> None:
    for to in ("mean", "resample"):
        result = api.run("head_importance", soft, corpus=REPEATS, exact=4, to=to)
        planted = {planted_heads.GPT2_PREVIOUS, planted_heads.GPT2_INDUCTION}
        order = np.argsort(-result.estimate.ravel())
        best = {tuple(int(i) for i in np.unravel_index(at, (2, 4))) for at in order[:2]}
        assert best == planted
        sizes = np.abs(result.estimate).ravel()[order]
        assert sizes[1] > 3 * sizes[2:].max()
        exact = dict(zip(zip(result.layer, result.head, strict=True), result.exact, strict=True))
        assert min(exact[head] for head in planted) > 0.5


def test_mean_ablation_of_the_planted_heads_costs_what_was_measured(tmp_path: Path) -> None:
    m = fresh(planted_heads.gpt2(tmp_path / "gpt2"))
    generator = torch.Generator().manual_seed(0)
    order = [torch.randperm(32, generator=generator)[:20] + 1 for _ in range(8)]
    batch = rows(m, [[0, *each.tolist(), *each.tolist()] for each in order])
    places = [Site(layer, "head") for layer in (0, 1)]
    seen = run(m, batch, read=places, logits="none").values
    half = slice(21, 40)  # of the second copy's words, but the first, which nothing foretells
    clean = -next_token_losses(logits(m, batch), batch)[:, half].mean()
    assert -float(clean) < 0.3
    fall = np.zeros((2, 4))
    for layer, place in enumerate(places):
        put = fixed(seen[place].mean(dim=(0, 1)))
        with replaced(m, layer, range(4), put, batch.n):
            after = -next_token_losses(logits(m, tiled(batch, 4)), tiled(batch, 4))[:, half]
        fall[layer] = (after.reshape(4, -1).mean(dim=1) - clean).numpy()
    assert fall[0, 0] == pytest.approx(-4.24, abs=0.5)
    assert fall[1, 0] == pytest.approx(-3.58, abs=0.3)
    fall[:, 0] = 0
    assert np.abs(fall).max() < 0.012


def test_an_estimate_that_disagrees_says_that_it_is_unreliable() -> None:
    from core.figures import head_importance as drawing
    from tests.pages import head_cause_samples

    good, bad = (head_cause_samples.head_importance(agree=agree) for agree in (True, False))
    assert good.reliable
    assert drawing.UNRELIABLE not in drawing.title(good)
    assert not bad.reliable
    assert drawing.UNRELIABLE in drawing.title(bad)
    assert drawing.UNRELIABLE in drawing.caption(bad)


def test_an_unchecked_estimate_is_not_called_reliable(stories: Loaded, told: list[str]) -> None:
    from core.figures import head_importance as drawing
    from core.figures.theme import Look

    result = api.run("head_importance", stories, corpus=told[:3], exact=0, samples=1)
    assert len(result.exact) == 0
    assert not result.reliable
    assert "too few to tell" in drawing.title(result)
    drawing.figure(result, Look(), view="check")
    one = api.run("head_importance", stories, corpus=told[:1], exact=1, samples=1)
    assert np.isnan(one.exact_error).all()


@pytest.mark.parametrize("family", DECODERS)
def test_slopes_of_heads_are_those_of_small_changes(
    family: str, tiny: Callable[[str], Path]
) -> None:
    m = api.load(tiny(family), device="cpu")
    batch = text_rows(m, TEXT)

    def scores(answer: torch.Tensor) -> tuple[list[torch.Tensor], int]:
        return [answer[0, -1, 7], 2 * answer[0, -2, 3]], answer.shape[-1]

    z, gradients, width = head_gradients(m, batch, scores)
    assert width == m.d_vocab
    layer = m.n_layers - 2
    torch.testing.assert_close(
        z[layer][0], torch.tensor(api.trace(m, TEXT, [f"L{layer}.head"])[f"L{layer}.head"])
    )
    direction = torch.randn(m.d_head, generator=torch.Generator().manual_seed(0))
    step = 1e-2
    sides = []
    for sign in (1, -1):
        push = api.Add(f"L{layer}.head[2]", (sign * step * direction).tolist(), 1.0)
        sides.append(torch.tensor(api.logits(m, TEXT, [push])).double())
    for number, (place, token, factor) in enumerate(((-1, 7, 1), (-2, 3, 2))):
        slope = factor * float(sides[0][place, token] - sides[1][place, token]) / (2 * step)
        own = float((gradients[number][layer][0, :, 2] @ direction).sum())
        assert own == pytest.approx(slope, rel=0.03, abs=5e-3)


def test_gradients_of_heads_leave_nothing_behind(stories: Loaded, told: list[str]) -> None:
    batch = text_rows(stories, told[0])
    before = logits(stories, batch)
    with pytest.raises(ZeroDivisionError):
        head_gradients(stories, batch, lambda _: 1 / 0)  # type: ignore[arg-type, return-value]
    api.run("head_importance", stories, corpus=told[:3], samples=2, exact=1)
    assert all(p.grad is None and not p.requires_grad for p in stories.module.parameters())
    modules = stories.module.modules()
    assert sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in modules) == 0
    assert torch.equal(logits(stories, batch), before)


def test_every_copy_of_the_rows_has_its_own_head_replaced(stories: Loaded) -> None:
    batch = text_rows(stories, TEXT, TEXT + " and the dog")  # the first is padded
    put = fixed(torch.ones(stories.n_heads, stories.d_head))
    with replaced(stories, 2, (1, 6), put, 2):
        both = logits(stories, tiled(batch, 2))
    for copy, head in enumerate((1, 6)):
        place = Site(2, "head", head)
        ones = [api.Scale(place, 0.0), api.Add(place, [1.0] * stories.d_head, 1.0)]
        alone = run(stories, batch, change=[ones]).logits
        assert alone is not None
        torch.testing.assert_close(both[2 * copy : 2 * copy + 2], alone, atol=1e-4, rtol=1e-4)


def test_another_texts_heads_begin_again_behind_its_end(stories: Loaded) -> None:
    batch = Rows(torch.zeros(3, 5, dtype=torch.long), (5, 2, 3))
    z = torch.arange(15.0).reshape(3, 5, 1, 1)
    given = donated(batch)(z)[..., 0, 0]
    assert given[1].tolist() == [0, 1, 2, 3, 4]  # the row before has five tokens
    assert given[2].tolist() == [5, 6, 5, 6, 5]
    assert given[0].tolist() == [10, 11, 12, 10, 11]


def test_a_control_moves_the_stream_as_far_inside_another_head(stories: Loaded) -> None:
    write = write_matrix(stories, Site(1, "head"))
    shift = torch.randn(2, 3, stories.d_head, generator=torch.Generator().manual_seed(1))
    for head, (other, move) in enumerate(disguises(stories, 1, seed=4)):
        assert other != head
        far = (shift @ write[head]).norm(dim=-1)
        torch.testing.assert_close((move(shift) @ write[other]).norm(dim=-1), far)


def test_what_cannot_be_asked_is_refused_in_a_sentence(
    stories: Loaded, tiny: Callable[[str], Path]
) -> None:
    for options, said in (
        ({"to": "noise"}, "mean, zero, resample"),
        ({"samples": 0}, "samples"),
        ({"exact": -1}, "exact"),
        ({"corpus": ["one text only"], "to": "resample"}, "two texts"),
    ):
        with pytest.raises(api.Error, match=said):
            api.run("head_importance", stories, **options)
    with pytest.raises(api.Error, match="next token"):
        api.run("head_importance", api.load(tiny("bert"), device="cpu"))
