"""Composition of single channels: which direction of an earlier head a later head listens to.

After "Talking Heads" (Merullo, Eickhoff, Pavlick, 2024), its component form: of an earlier head
one singular direction b of W_V W_O at a time, || b^T M2 || / || M2 ||.
"""

import numpy as np
import torch
from torch import Tensor

from core.engine.head_circuits import singular
from core.engine.head_weights import HeadWeights

N_CHANNELS = 10  # strongest of each head
N_DRAWS = 200  # random directions
MOST = 100  # pairs kept of each kind
OUTLIER = 4.0
COLUMNS = ("early", "late", "channel", "strength", "value", "z", "outlier")


def channels(heads: HeadWeights) -> tuple[Tensor, Tensor]:
    """(directions written [head, channel, d_model], share of the circuit's power of each)."""
    found = [singular(*heads.ov(head)) for head in range(heads.n_heads)]
    n = min(N_CHANNELS, len(found[0][1]))
    power = torch.stack([values.square() for _, values, _ in found])
    share = power[:, :n] / power.sum(1, keepdim=True).clamp_min(1e-30)
    return torch.stack([written[:n] for _, _, written in found]), share


class Listened:
    """What later heads listen to, kind by kind; rows are added layer by layer."""

    def __init__(self, kinds: tuple[str, ...], width: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        random = torch.randn(N_DRAWS, width, generator=generator)
        self.random = random / random.norm(dim=1, keepdim=True)
        self.rows: dict[str, list[np.ndarray]] = {kind: [] for kind in kinds}
        self.loudest: dict[str, list[float]] = {kind: [] for kind in kinds}
        self.n_outliers = dict.fromkeys(kinds, 0)
        self.n = 0  # channels beside late heads

    def add(
        self, kind: str, first: int, readers: Tensor, early: list[Tensor], share: list[Tensor]
    ) -> None:
        """A layer's heads from number `first` on, reading all earlier layers' channels.

        readers [head, d_model, d_head] as reduced by `core.engine.head_circuits.reduced`
        early, share of each earlier layer as `channels` gives them
        """
        values = torch.cat([_heard(part.flatten(0, 1), readers) for part in early], dim=1)
        chance = _heard(self.random.to(readers), readers)  # [head, draw]
        z, outlier = _above(values, chance), _above(values, values)
        self.loudest[kind] += _above(chance, chance).amax(1).tolist()
        self.n_outliers[kind] += int(((outlier > OUTLIER) & (z > OUTLIER)).sum())
        self.n += values.numel()
        best = outlier.flatten().topk(min(MOST, outlier.numel())).indices.cpu()
        late, place = best // values.shape[1], best % values.shape[1]
        n_channels = early[0].shape[1]
        strength = torch.cat([part.flatten() for part in share]).cpu()
        columns = (
            place // n_channels,
            first + late,
            place % n_channels,
            strength[place],
            *(each.flatten().cpu()[best] for each in (values, z, outlier)),
        )
        self.rows[kind].append(np.stack([each.double().numpy() for each in columns], axis=1))

    def found(self) -> dict[str, dict[str, np.ndarray]]:
        """Column -> array over the pairs of all kinds, the farthest outliers of each first."""
        table = []
        for number, rows in enumerate(self.rows.values()):
            whole = np.concatenate(rows)
            order = np.argsort(-whole[:, COLUMNS.index("outlier")], kind="stable")[:MOST]
            table.append(np.insert(whole[order], 0, number, axis=1))
        every = np.concatenate(table)
        names = ("kind", *COLUMNS)
        whole_numbers = ("kind", "early", "late", "channel")
        return {
            "channels": {
                name: every[:, at].astype("int32" if name in whole_numbers else "float32")
                for at, name in enumerate(names)
            }
        }

    @property
    def random_outlier(self) -> tuple[float, ...]:
        """By kind, the 99th percentile over late heads of the farthest of the random directions."""
        return tuple(float(np.quantile(each, 0.99)) for each in self.loudest.values())


def _heard(directions: Tensor, readers: Tensor) -> Tensor:
    """|| b^T M2 || / || M2 || of unit directions [n, d_model], [late head, n]."""
    size = readers.shape[2]
    product = directions @ readers.transpose(0, 1).flatten(1)
    heard = product.view(len(directions), len(readers), size).norm(dim=2).T
    return heard / readers.flatten(1).norm(dim=1)[:, None].clamp_min(1e-30)


def _above(values: Tensor, crowd: Tensor) -> Tensor:
    """How far values lie above the mean of a crowd [late head, n], in its standard deviations."""
    spread = crowd.std(dim=1, keepdim=True).clamp_min(1e-12)
    return (values - crowd.mean(dim=1, keepdim=True)) / spread
