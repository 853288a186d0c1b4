"""One pass over a text: what every unit does there, and where it does it most.

A `State` holds running statistics of one layer's units. It grows batch by batch (`update`), two
states of different texts become the state of both (`merge`), and nothing in it but the rounding of
the sums depends on the order in which contexts came: lists break ties by the lower context, and
samples keep the largest of keys hashed from (seed, unit, context). After the one-pass statistics
of SAEDashboard and sae_vis.

Units that are mostly zero, such as the latents of a sparse dictionary, come as sparse codes into a
state of their own kind (`new_firing_state`, `update_codes`).
"""

from jaxtyping import Bool, Float, Int64
from torch import Tensor

from kernels.dispatch import implementation
from kernels.feature_topk.codes import Codes
from kernels.top_examples.firings import Peaks
from kernels.top_examples.firings import take as _take_firings
from kernels.top_examples.state import State, merge, new_firing_state, new_state

__all__ = ["Peaks", "State", "merge", "new_firing_state", "new_state", "update", "update_codes"]


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
    if state.of_firings:
        raise ValueError("this state takes sparse codes; give them to update_codes")
    run, _ = implementation("top_examples", values.device.type)
    run(state, values, keep, contexts)


def update_codes(
    state: State,
    codes: Codes,
    context: Int64[Tensor, " token"],
    position: Int64[Tensor, " token"],
    keep: Bool[Tensor, " token"] | None = None,
) -> Peaks:
    """Take the sparse codes of whole contexts into a state that `new_firing_state` made.

    codes     the tokens of the batch in any order; finite values
    context   [token]  number of the token's context, below 2**31, the same in every batch; each
                       context is given once in its life, with all its tokens
    position  [token]  place of the token in its context, below 2**31
    keep      [token]  False for tokens that do not count; tokens may as well be left out
    state     changed in place. Moments, ends and histogram are those of `update` on the dense
              values: a token at which a unit has no entry counts as a value of exactly 0, in the
              middle bin of the histogram together with all values below 2**-14. The lists hold
              entries only: a unit that fires in fewer contexts than there are places leaves places
              EMPTY (`update` fills them with contexts whose largest value is 0)
    returns   the largest value of every feature in every context it fires in

    Samples are drawn by keys hashed from (seed, unit, context, position): evenly the entries of
    largest hash u; by value those of largest log(u) / value (Efraimidis and Spirakis, 2006).
    """
    if not state.of_firings:
        raise ValueError("sparse codes go into a state of new_firing_state")
    if codes.n_features != state.n_units:
        raise ValueError(f"the codes have {codes.n_features:,} features, not {state.n_units:,}")
    return _take_firings(state, codes, context, position, keep)
