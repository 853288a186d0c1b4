"""One pass over a text: what every unit does there, and where it does it most.

A `State` holds running statistics of one layer's units. It grows batch by batch (`update`), two
states of different texts become the state of both (`merge`), and nothing in it but the rounding of
the sums depends on the order in which contexts came: lists break ties by the lower context, and
samples keep the largest of keys hashed from (seed, unit, context). After the one-pass statistics
of SAEDashboard and sae_vis.
"""

from jaxtyping import Bool, Float, Int64
from torch import Tensor

from kernels.dispatch import implementation
from kernels.top_examples.state import State, merge, new_state

__all__ = ["State", "merge", "new_state", "update"]


def update(
    state: State,
    values: Float[Tensor, "context token unit"],
    keep: Bool[Tensor, "context token"],
    contexts: Int64[Tensor, " context"],
) -> None:
    """Take a batch of whole contexts into the state; each context is given once in its life.

    values    [context, token, unit]  finite activations
    keep      [context, token]        False for tokens that do not count: padding, special tokens
    contexts  [context]               numbers below 2**31, the same for a context in every batch
    state     changed in place: moments, histogram, and lists with one entry per context at most:
              contexts of largest value (signed: of smallest too) with the first position of it,
              contexts by quarter octaves of their largest value, tokens drawn evenly
    """
    run, _ = implementation("top_examples", values.device.type)
    run(state, values, keep, contexts)
