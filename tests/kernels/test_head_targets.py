"""Which keys a score asks about: runs of equal tokens, places, and random keys in their place."""

import torch

from kernels.head_stats import targets
from kernels.head_stats.targets import after_same_two, at, back, equal, near


def test_targets_follow_what_was_asked() -> None:
    ids = torch.tensor([[7, 8, 7, 7, 8]])

    def keys(runs: tuple) -> list[list[int]]:
        order, first, n = (each[0].tolist() for each in runs)
        return [order[a : a + b] for a, b in zip(first, n, strict=True)]

    assert keys(equal(ids)) == [[], [], [0], [0, 2], [1]]
    assert keys(equal(ids, behind=1)) == [[], [], [1], [1, 3], [2]]
    assert keys(after_same_two(ids)) == [[], [], [], [], [2]]
    assert keys(back(ids, 2)) == [[], [], [0], [1], [2]]
    assert keys(back(ids, -1)) == [[1], [2], [3], [4], []]
    assert keys(at(ids, 1)) == [[], [], [1], [1], [1]]
    assert keys(equal(torch.tensor([[-1, 3, -1, 3, 3]]))) == [[], [], [], [1], [1, 3]]
    two, four = torch.tensor([0, 0, 1, 1, 3]), torch.tensor([-1, 0, 1, 2, 4])
    assert keys(near(ids, two, four)) == [[], [0], [1], [1, 2], [3, 4]]


def test_a_target_behind_the_text_is_none() -> None:
    ids = torch.tensor([[5, 6, 0, 0]])
    assert targets({"next": back(ids, -1)}, [2], causal=False).count.tolist() == [[[1, 0, 0, 0]]]


def test_random_keys_are_as_many_as_the_targets_different_and_visible() -> None:
    torch.manual_seed(0)
    ids, lengths = torch.randint(4, (3, 60)), [60, 60, 57]
    kinds = {"before": back(ids, 1), "equal": equal(ids), "after": equal(ids, behind=1)}
    aims = targets(kinds, lengths, seed=3)
    pairs = aims.pairs(slice(0, 3), slice(0, 60))
    n = len(aims.kinds)
    wanted, random = ((pairs.slot < n), (pairs.slot >= n))
    assert (pairs.key <= pairs.query).all()
    for name in ("row", "query"):
        assert torch.equal(getattr(pairs, name)[wanted], getattr(pairs, name)[random])
    drawn = torch.stack([pairs.slot, pairs.row, pairs.query, pairs.key], dim=1)[random]
    assert len(drawn.unique(dim=0)) == len(drawn)
    again = targets(kinds, lengths, seed=3).pairs(slice(0, 3), slice(0, 60))
    other = targets(kinds, lengths, seed=4).pairs(slice(0, 3), slice(0, 60))
    assert torch.equal(pairs.key, again.key)
    assert not torch.equal(pairs.key, other.key)


def test_pairs_of_a_text_that_is_one_token_repeated_are_not_all_kept() -> None:
    ids = torch.zeros(1, 3_000, dtype=torch.long)
    aims = targets({"duplicate": equal(ids)}, [3_000])
    for begin in range(0, 3_000, 500):
        aims.pairs(slice(0, 1), slice(begin, begin + 500))
    assert sum(len(each.row) for each in aims._held.values()) <= 1_000_000
