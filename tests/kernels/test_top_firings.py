"""Statistics from sparse codes: those of the dense values, in any order, samples even by chance."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from kernels.feature_topk import Codes, codes
from kernels.top_examples import (
    State,
    firings,
    merge,
    new_firing_state,
    new_state,
    update,
    update_codes,
)
from kernels.top_examples.state import EMPTY, PARTS, opened

N, T, UNITS, K = 50, 9, 8, 6


def text(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Values [context, token, unit], mostly zero, and what counts."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(N, T, UNITS, generator=generator).sub(1).relu()
    values[:, :, 1] = (2 * values[:, :, 1]).round()  # ties between contexts and inside them
    values[:, :, 2] += 0.5  # fires everywhere
    values[:, :, 3] = 0  # never fires
    values[:, :, 4] *= (torch.rand(N, T, generator=generator) < 0.02).float()  # rarely
    values[:, :, 5] *= 1e-5  # below the first quarter octave
    values[:, :, 6] *= 1e6  # above the last
    lengths = torch.randint(0, T + 1, (N,), generator=generator)
    keep = torch.arange(T)[None] < lengths[:, None]
    keep[:, 0] = False
    values[~keep] = 99.0  # what does not count must not show
    return values, keep


def sparse(values: Tensor) -> Codes:
    token, unit = values.flatten(0, 1).nonzero(as_tuple=True)
    return codes(token, unit, values.flatten(0, 1)[token, unit], len(values) * T, UNITS)


def offered(state: State, part: Tensor, seed: int = 0) -> firings.Peaks:
    values, keep = text(seed)
    context, position = part.repeat_interleave(T), torch.arange(T).repeat(len(part))
    return update_codes(state, sparse(values[part]), context, position, keep[part].flatten())


def seen(order: Sequence[int], sizes: int, seed: int = 0) -> State:
    state = new_firing_state(UNITS, k=K, n_firing=5, n_importance=4, seed=3)
    for start in range(0, len(order), sizes):
        offered(state, torch.tensor(order[start : start + sizes]), seed)
    return state


def same(one: State, other: State) -> None:
    for name, tensor in one.tensors().items():
        theirs = other.tensors()[name]
        if name in ("total", "squares"):  # sums in another order
            torch.testing.assert_close(tensor, theirs, rtol=1e-6, atol=1e-4)
        else:
            assert torch.equal(tensor.nan_to_num(), theirs.nan_to_num()), name
    assert (one.n_tokens, one.n_contexts) == (other.n_tokens, other.n_contexts)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("table", [16_000_000, 40, 1])
def test_it_equals_the_dense_update(monkeypatch: pytest.MonkeyPatch, seed: int, table: int) -> None:
    """Counts, ends and lists bit by bit, but for entries of value 0, which only `update` lists."""
    monkeypatch.setattr(firings, "TABLE", table)
    random = np.random.default_rng(seed)
    values, keep = text(seed)
    dense = new_state(UNITS, k=K, signed=False, seed=3)
    update(dense, values, keep, torch.arange(N))
    found = seen(random.permutation(N).tolist(), int(random.integers(1, N)), seed)
    assert (found.n_tokens, found.n_contexts) == (dense.n_tokens, dense.n_contexts)
    for name in ("largest", "smallest", "histogram"):
        assert torch.equal(getattr(found, name), getattr(dense, name)), name
    torch.testing.assert_close(found.total, dense.total, rtol=1e-6, atol=0)
    torch.testing.assert_close(found.squares, dense.squares, rtol=1e-6, atol=0)
    for name in ("high", "high_bands"):
        ours, theirs = found.lists[name], dense.lists[name]
        fires = theirs.value > 0
        assert bool(fires.any())
        for part in PARTS:
            assert torch.equal(getattr(ours, part)[fires], getattr(theirs, part)[fires]), (
                name,
                part,
            )
        assert (ours.key[~fires] == EMPTY).all()


@pytest.mark.parametrize("sizes", [1, 4, 50])
def test_neither_the_order_nor_the_size_of_batches_shows(sizes: int) -> None:
    shuffled = np.random.default_rng(sizes).permutation(N).tolist()
    same(seen(range(N), 11), seen(shuffled, sizes))


def test_tokens_may_come_in_any_order_and_those_that_do_not_count_may_be_left_out() -> None:
    values, keep = text()
    context, position = keep.nonzero(as_tuple=True)
    order = torch.randperm(len(context), generator=torch.Generator().manual_seed(1))
    context, position = context[order], position[order]
    rows = values[context, position]
    token, unit = rows.nonzero(as_tuple=True)
    state = new_firing_state(UNITS, k=K, n_firing=5, n_importance=4, seed=3)
    update_codes(state, codes(token, unit, rows[token, unit], len(rows), UNITS), context, position)
    same(seen(range(N), 50), state)


def test_two_halves_merged_are_the_whole_and_a_stored_state_goes_on() -> None:
    halves = seen(range(0, N, 2), 7), seen(range(1, N, 2), 5)
    same(seen(range(N), 50), merge(*halves))
    half = opened(seen(range(30), 10).arrays())
    offered(half, torch.arange(30, N))
    same(seen(range(N), 10), half)


def test_a_unit_of_few_firings_has_all_of_them_in_both_samples() -> None:
    values, keep = text()
    state = new_firing_state(UNITS, n_firing=200, n_importance=300)
    offered(state, torch.arange(N))
    where = torch.where(keep[..., None], values, 0.0)
    for unit in range(UNITS):
        context, position = where[:, :, unit].nonzero(as_tuple=True)
        wanted = list(zip(context.tolist(), position.tolist(), strict=True))
        for name in ("firing", "importance"):
            slots = state.lists[name]
            there = slots.key[unit] != EMPTY
            pairs = zip(slots.context[unit, there], slots.position[unit, there], strict=True)
            found = sorted((int(c), int(p)) for c, p in pairs)
            assert found == wanted[: len(found)] or len(wanted) > len(slots.key[unit])
            assert len(found) == min(len(wanted), slots.key.shape[1])
            own = where[slots.context[unit, there].long(), slots.position[unit, there].long(), unit]
            assert torch.equal(slots.value[unit, there], own)


def test_one_sample_is_even_over_firings_the_other_in_proportion_to_their_value() -> None:
    """Many units with the same five firings of values 1 to 5, one drawn from each."""
    units = 20_000
    value = torch.arange(1.0, 6.0)
    token = torch.arange(5).repeat_interleave(units)
    found = codes(token, torch.arange(units).repeat(5), value[token], 5, units)
    state = new_firing_state(units, k=1, n_firing=1, n_importance=1)
    update_codes(state, found, torch.tensor([0, 0, 0, 1, 1]), torch.tensor([4, 5, 6, 0, 1]))
    counts = {}
    for name in ("firing", "importance"):
        drawn = state.lists[name].value[:, 0].long()
        counts[name] = torch.bincount(drawn, minlength=6)[1:] / units
    allowed = 4 * math.sqrt(0.25 / units)
    torch.testing.assert_close(counts["firing"], torch.full((5,), 0.2), rtol=0, atol=allowed)
    torch.testing.assert_close(counts["importance"], value / 15, rtol=0, atol=allowed)


def test_codes_of_one_value_are_still_drawn_without_ties() -> None:
    """A codebook's entries are all 1: keys must differ by more than the value."""
    n = 30_000
    found = codes(torch.arange(n), torch.zeros(n), torch.ones(n), n, 1)
    state = new_firing_state(1, k=4, n_firing=n, n_importance=n)
    update_codes(state, found, torch.arange(n) // 100, torch.arange(n) % 100)
    for name in ("firing", "importance"):
        assert len(state.lists[name].key.unique()) == n


def test_the_peaks_are_told() -> None:
    values, keep = text()
    state = new_firing_state(UNITS)
    peaks = offered(state, torch.arange(N))
    highest = torch.where(keep[..., None], values, 0.0).max(dim=1)
    context, unit = (highest.values > 0).nonzero(as_tuple=True)
    order = torch.argsort(unit, stable=True)
    assert torch.equal(peaks.unit, unit[order])
    assert torch.equal(peaks.context, context[order])
    assert torch.equal(peaks.value, highest.values[context, unit][order])
    assert torch.equal(peaks.position, highest.indices[context, unit][order])


def test_batches_without_tokens_or_without_firings_are_taken() -> None:
    state = new_firing_state(UNITS, k=K)
    nothing = torch.zeros(0, dtype=torch.long)
    update_codes(state, codes(nothing, nothing, torch.zeros(0), 0, UNITS), nothing, nothing)
    assert state.n_tokens == 0
    assert (state.largest == -math.inf).all()
    silent = codes(nothing, nothing, torch.zeros(0), 3, UNITS)
    update_codes(state, silent, torch.tensor([5, 5, 6]), torch.tensor([1, 2, 1]))
    assert (state.n_tokens, state.n_contexts) == (3, 2)
    assert (state.largest == 0).all()
    assert (state.smallest == 0).all()
    assert (state.histogram.sum(1) == 3).all()
    dropped = torch.zeros(3, dtype=torch.bool)
    update_codes(state, silent, torch.tensor([7, 7, 8]), torch.tensor([1, 2, 1]), dropped)
    assert (state.n_tokens, state.n_contexts) == (3, 2)


def test_states_and_values_of_different_kinds_are_refused() -> None:
    values, keep = text()
    with pytest.raises(ValueError, match="give them to update_codes"):
        update(new_firing_state(UNITS), values, keep, torch.arange(N))
    with pytest.raises(ValueError, match="a state of new_firing_state"):
        offered(new_state(UNITS), torch.arange(N))
    with pytest.raises(ValueError, match="have 8 features, not 9"):
        offered(new_firing_state(9), torch.arange(N))
