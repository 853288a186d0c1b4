"""One pass over a text: against brute force, in any order, in halves, and by chance."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from kernels.dispatch import implementation
from kernels.top_examples import State, merge, new_state, reference, update
from kernels.top_examples.reading import N_BANDS, above, bands, linear, quantile, sides
from kernels.top_examples.state import EMPTY, opened

N, T, UNITS, K = 60, 9, 7, 5


def text(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Values [context, token, unit] and what counts: rows of unequal length, no first token."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(N, T, UNITS, generator=generator)
    values[:, :, 1] = values[:, :, 1].relu()  # many zeros, many ties
    values[:, :, 2] = (2 * values[:, :, 2]).round()  # ties between contexts and inside them
    lengths = torch.randint(2, T + 1, (N,), generator=generator)
    keep = torch.arange(T)[None] < lengths[:, None]
    keep[:, 0] = False
    values[~keep] = 99.0  # what does not count must not show
    return values, keep


def seen(order: Sequence[int], sizes: int, **options: int) -> State:
    values, keep = text()
    state = new_state(UNITS, **{"k": K, "n_samples": 8, **options})
    for start in range(0, len(order), sizes):
        part = torch.tensor(order[start : start + sizes])
        update(state, values[part], keep[part], part)
    return state


def same(one: State, other: State) -> None:
    for name, tensor in one.tensors().items():
        if name in ("total", "squares"):  # float32 inside a batch, rounded in another order
            torch.testing.assert_close(tensor, other.tensors()[name], rtol=1e-5, atol=1e-4)
        else:
            assert torch.equal(tensor.nan_to_num(), other.tensors()[name].nan_to_num()), name
    assert (one.n_tokens, one.n_contexts) == (other.n_tokens, other.n_contexts)


def brute(sign: float, unit: int) -> list[tuple[float, int, int]]:
    """(value, context, position) of every context's largest value, best first, ties by number."""
    values, keep = text()
    found = []
    for context in range(N):
        allowed = [t for t in range(T) if keep[context, t]]
        if allowed:
            best = max(allowed, key=lambda t: (sign * float(values[context, t, unit]), -t))
            found.append((sign * float(values[context, best, unit]), context, best))
    return sorted(found, key=lambda entry: (-entry[0], entry[1]))


@pytest.mark.parametrize(("side", "sign"), [("high", 1.0), ("low", -1.0)])
def test_the_lists_are_those_of_a_full_sort(side: str, sign: float) -> None:
    slots = seen(range(N), 7).lists[side]
    for unit in range(UNITS):
        wanted = brute(sign, unit)[:K]
        rows = zip(slots.value[unit], slots.context[unit], slots.position[unit], strict=True)
        assert [(float(v), int(c), int(p)) for v, c, p in rows] == wanted


def test_counts_moments_and_ends_are_those_of_the_tokens_that_count() -> None:
    values, keep = text()
    kept = values[keep].double()
    state = seen(range(N), 16)
    assert state.n_tokens == len(kept)
    torch.testing.assert_close(state.total, kept.sum(0), rtol=1e-6, atol=1e-5)
    torch.testing.assert_close(state.squares, (kept**2).sum(0), rtol=1e-6, atol=1e-5)
    assert torch.equal(state.largest.double(), kept.amax(0))
    assert torch.equal(state.smallest.double(), kept.amin(0))
    assert (state.histogram.sum(1) == len(kept)).all()
    positive, negative = sides(state)
    assert torch.equal(positive[:, 1:].sum(1), (kept >= 2.0**-14).sum(0))
    assert torch.equal(negative[:, 1:].sum(1), (kept <= -(2.0**-14)).sum(0))
    at_one = above(positive, torch.full((UNITS,), 1.0), state.largest)
    # 1 is the edge of a bin, so nothing is interpolated; what equals it lies above.
    assert torch.equal(at_one, (kept >= 1).sum(0).double())


@pytest.mark.parametrize("sizes", [1, 4, 60])
def test_neither_the_order_nor_the_size_of_batches_shows(sizes: int) -> None:
    shuffled = np.random.default_rng(sizes).permutation(N).tolist()
    same(seen(range(N), 11), seen(shuffled, sizes))


def test_two_halves_merged_are_the_whole() -> None:
    halves = seen(range(0, N, 2), 7), seen(range(1, N, 2), 5)
    same(seen(range(N), 60), merge(*halves))
    same(merge(*halves), merge(*reversed(halves)))


def test_a_stored_state_goes_on_where_it_stopped() -> None:
    values, keep = text()
    half = opened(seen(range(30), 10).arrays())
    rest = torch.arange(30, N)
    update(half, values[rest], keep[rest], rest)
    same(seen(range(N), 10), half)


def test_the_sample_is_even_over_tokens_and_no_context_comes_twice() -> None:
    state = new_state(4_000, k=1, n_samples=4)
    # Context 0 has 8 tokens, context 1 has 2: tokens 0 to 7 and 8 to 9.
    keep = torch.arange(8)[None] < torch.tensor([8, 2])[:, None]
    values = torch.arange(16.0).reshape(2, 8, 1).expand(-1, -1, 4_000)
    update(state, values, keep, torch.arange(2))
    slots = state.lists["sample"]
    first = (slots.key[:, 0] != EMPTY).nonzero()[:, 0]
    # In one place two contexts meet where both were sent there: then 8 of 10 times it is the long.
    context, position = slots.context[first, 0], slots.position[first, 0]
    assert (slots.value[first, 0] == context * 8 + position).all()
    counted = torch.bincount(position[context == 0].long(), minlength=8)
    assert counted.min() > 0.7 * counted.float().mean()
    chosen = (slots.context != -1).sum(1)
    assert chosen.max() == 2
    met = chosen == 1
    long = (slots.context[met].amax(1) == 0).float().mean()
    assert 0.75 < float(long) < 0.85


def test_bands_hold_contexts_of_every_height() -> None:
    values = torch.linspace(0.01, 1, 2_000).reshape(2_000, 1, 1)
    state = new_state(1, k=3)
    update(state, values, torch.ones(2_000, 1, dtype=torch.bool), torch.arange(2_000))
    slots = state.lists["high_bands"]
    held = slots.value[0][slots.key[0] != EMPTY]
    for low in (0.1, 0.2, 0.4, 0.6, 0.8):
        assert ((held > low) & (held <= low + 0.2)).sum() >= 2
    assert held.min() > 1 / 17
    assert torch.equal(values[slots.context[0].long(), 0, 0], slots.value[0])


def test_quantiles_and_shares_are_right_to_a_quarter_octave() -> None:
    values = torch.randn(400, 50, 3, generator=torch.Generator().manual_seed(3)) * 2
    state = new_state(3)
    update(state, values, torch.ones(400, 50, dtype=torch.bool), torch.arange(400))
    flat = values.reshape(-1, 3)
    largest = flat.abs().amax(0)
    counts = sum(sides(state))
    for share in (0.5, 0.9, 0.999):
        wanted = torch.quantile(flat.abs()[:16_000], share, dim=0)
        torch.testing.assert_close(quantile(counts, share, largest), wanted, rtol=0.1, atol=0)
    over = above(counts, largest / 10, largest) / len(flat)
    wanted = (flat.abs() > largest / 10).float().mean(0).double()
    torch.testing.assert_close(over, wanted, rtol=0.05, atol=0)
    positive = flat[:, 0][flat[:, 0] > 0].numpy()
    numbers, sums = bands(sides(state)[0][0].numpy(), float(state.largest[0]))
    cut = np.linspace(0, positive.max(), N_BANDS + 1)
    truth = np.histogram(positive, cut)[0] / len(positive)
    np.testing.assert_allclose(numbers, truth, atol=0.03)
    weighed = np.histogram(positive, cut, weights=positive)[0] / positive.sum()
    np.testing.assert_allclose(sums, weighed, atol=0.03)
    _, heights = linear(state, 0, 20)
    direct = np.histogram(flat[:, 0].numpy(), 20)[0]
    assert heights.sum() == pytest.approx(len(flat))
    assert np.abs(heights - direct).max() < 0.15 * direct.max()


def test_a_unit_that_is_always_zero_breaks_nothing() -> None:
    state = new_state(1, k=2)
    update(state, torch.zeros(3, 4, 1), torch.ones(3, 4, dtype=torch.bool), torch.arange(3))
    assert state.lists["high"].context.tolist() == [[0, 1]]
    assert (state.lists["high_bands"].key == EMPTY).all()
    cuts, counts = linear(state, 0, 4)
    assert counts.sum() == 12
    assert quantile(sum(sides(state)), 0.999, state.largest).tolist() == [0.0]
    assert np.isfinite(bands(sides(state)[0][0].numpy(), 0.0)[0]).all()
    assert (cuts == 0).all()


def test_views_half_precision_and_empty_batches_are_taken() -> None:
    values, keep = text()
    one, other = new_state(UNITS, k=K), new_state(UNITS, k=K)
    turned = values.permute(2, 1, 0).contiguous().permute(2, 1, 0)
    update(one, values.half(), keep, torch.arange(N))
    update(other, turned.half().float(), keep, torch.arange(N))
    update(other, values[:3], torch.zeros(3, T, dtype=torch.bool), torch.arange(N, N + 3))
    update(other, values[:0], keep[:0], torch.arange(0))
    same(one, other)


def test_unsigned_units_keep_no_list_of_the_smallest() -> None:
    assert set(seen(range(N), 20, signed=False).lists) == {"high", "high_bands", "sample"}


def test_states_of_different_settings_are_not_merged() -> None:
    with pytest.raises(ValueError, match="different settings"):
        merge(new_state(3, k=2), new_state(3, k=4))


def test_the_path_taken_is_told_with_its_reason() -> None:
    run, reason = implementation("top_examples", "cpu")
    assert run is reference.run
    assert reason
