"""What a dictionary is trained by: numbers a person chooses, and those that follow from them."""

from dataclasses import dataclass
from typing import Literal, get_args

from core.spec.errors import Error

Name = Literal["topk", "batchtopk", "matryoshka", "jumprelu", "gated", "relu"]
ARCHITECTURES: tuple[str, ...] = get_args(Name)
MAX_FEATURES, MAX_STEPS, MAX_BATCH = 1_048_576, 1_000_000, 65_536
# Published for wide dictionaries: the rate falls with the root of the width. Narrow ones learn
# faster with more (512 features: FVU 0.15 at 2e-3, 0.18 at 1.1e-3 after 500 steps).
PUBLISHED_WIDTH, PUBLISHED_RATE, MAX_RATE = 16_384, 2e-4, 2e-3
MAX_WARM_UP, DECAY_SHARE = 1_000, 0.2
DEAD_TOKENS, DEAD_STEPS, DEAD_SHARE = 10_000_000, 20, 100


@dataclass(frozen=True)
class Recipe:
    """How to train. `k` latents a token: exactly (topk), on average (the others aim at it).

    rate      Adam's learning rate, 0 for the rule below
    sparsity  weight of the penalty of jumprelu, gated and relu; 0 moves it until k are active
    """

    architecture: str
    n_features: int
    k: int
    steps: int
    batch: int = 2_048
    rate: float = 0.0
    sparsity: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            raise Error(
                f"no architecture {str(self.architecture)[:40]!r}; there are "
                f"{', '.join(ARCHITECTURES)}"
            )
        _whole("n_features", self.n_features, 2, MAX_FEATURES)
        _whole("steps", self.steps, 1, MAX_STEPS)
        _whole("batch", self.batch, 2, MAX_BATCH)
        _whole("seed", self.seed, 0, 2**31)
        _whole("k", self.k, 1, MAX_FEATURES)
        if self.k > self.n_features:
            raise Error(f"k={self.k:,} of {self.n_features:,} features cannot be active; lower k")
        for name in ("rate", "sparsity"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 <= value < 1_000:
                raise Error(
                    f"{name} must be a number from 0 (chosen for you) on, not {value!r:.40}"
                )

    @property
    def top_rate(self) -> float:
        """The learning rate between warm-up and decay."""
        wider = self.n_features / PUBLISHED_WIDTH
        found = PUBLISHED_RATE / (wider**0.5 if wider > 1 else wider)
        return self.rate or min(MAX_RATE, found)

    @property
    def warm_up(self) -> int:
        return min(MAX_WARM_UP, max(1, self.steps // 20))

    def rate_at(self, step: int) -> float:
        """Linear warm-up, then level, then linear decay over the last fifth."""
        left = (self.steps - step) / max(1.0, DECAY_SHARE * self.steps)
        return self.top_rate * min(1.0, (step + 1) / self.warm_up, left)

    @property
    def dead_after(self) -> int:
        """Steps without firing after which a latent gets the auxiliary loss."""
        return min(max(1, DEAD_TOKENS // self.batch), max(DEAD_STEPS, self.steps // DEAD_SHARE))


def _whole(name: str, value: object, least: int, most: int) -> None:
    fits = isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
    if not fits:
        raise Error(f"{name} must be a whole number from {least:,} to {most:,}, not {value!r:.40}")
