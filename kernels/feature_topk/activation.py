"""How a dictionary decides which latents fire."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

Kind = Literal["relu", "jumprelu", "topk", "groupmax", "gated", "code", "pursuit"]
COMPETING: tuple[Kind, ...] = ("topk", "groupmax", "code", "pursuit")  # latents take places


@dataclass(frozen=True)
class Activation:
    """The nonlinearity between pre-activations `pre` [token, feature] and activations.

    relu      max(pre, 0)
    jumprelu  max(pre, 0) where pre > threshold [feature]
    topk      the k largest of a token, then relu: fewer than k may fire
    groupmax  the largest of each of k neighbouring groups, then relu
    code      the k largest of a token, each 1 whatever its sign: a codebook
    pursuit   k times the largest of what is left of the token, then relu; value x rows [feature,
              d_in] is taken off before the next is chosen. One chosen twice has the sum
    gated     relu((pre - b_enc) * exp(r_mag) + b_mag) where pre > 0; here b_enc is the gate's bias
    """

    kind: Kind
    k: int = 0
    threshold: Tensor | None = None
    r_mag: Tensor | None = None
    b_mag: Tensor | None = None
    rows: Tensor | None = None
