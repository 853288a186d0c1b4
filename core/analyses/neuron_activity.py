"""What every neuron does on one text: at a token, at its strongest, and for the answer."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from core.analyses.runs import Progress, at_position, log_probabilities, prompt_rows
from core.analyses.scale import neuron_sites
from core.engine.forward import run
from core.engine.frozen import logit_scale, norm_scale
from core.engine.readout import reading_matrix
from core.engine.writes import neuron_writes, write_matrix
from core.models.loaded import Loaded
from core.models.tokens import known_ids, pieces, special
from core.results.neuron_activity import NeuronActivity
from core.spec.interventions import Change
from core.spec.site import Site

N_RANDOM = 32


def neuron_activity(
    loaded: Loaded,
    progress: Progress,
    *,
    text: str,
    interventions: Sequence[Change] = (),
    position: int | None = None,
    seed: int = 0,
) -> NeuronActivity:
    """Every neuron of the model on one text, from one forward.

    Direct effect on the answer's logit: activation x (write vector . reading row of the token),
    divided by the scales that the norms behind the MLP and the final norm have at this token. The
    effects of a layer's neurons (and of its bias) add up to what its MLP says about the token.
    """
    prompt, ids = prompt_rows(loaded, text)
    place = at_position(ids, position)
    sites = neuron_sites(loaded)
    loaded.check(sites[0])
    why_not = no_direct_effect(loaded)
    last = Site(loaded.n_layers - 1, "resid_post")
    seen = run(
        loaded,
        prompt,
        read=[*sites, *([] if why_not else [last])],
        change=[interventions],
        logits="none" if why_not else [place],
        check=progress.check,
    )
    values = [seen.values[site][0].float() for site in sites]
    counted = ~torch.tensor(special(loaded, ids), device=loaded.device)
    with loaded.busy():
        answer, probability, readings = None, float("nan"), None
        if seen.logits is not None:
            log_p = log_probabilities(seen.logits[0, -1])[: known_ids(loaded)]
            answer = int(log_p.argmax())
            probability = float(log_p[answer].exp())
            readings = _readings(loaded, answer, seen.values[last][0, place], seed)
        layers = [
            _layer(loaded, site, activation, place, counted, readings)
            for site, activation in zip(sites, values, strict=True)
        ]
    arrays = {name: np.stack([layer[name] for layer in layers]) for name in layers[0]}
    return NeuronActivity(
        request={},
        stack=loaded.prompt_stack,
        tokens=pieces(loaded, ids),
        position=place,
        sites=tuple(str(change.site) for change in interventions),
        answer="" if answer is None else pieces(loaded, [answer])[0],
        answer_probability=probability,
        why_not=why_not,
        n_random=0 if why_not else N_RANDOM,
        **arrays,
    )


def no_direct_effect(loaded: Loaded) -> str:
    """Why a neuron's write cannot be read straight as a part of the logits, "" when it can."""
    if loaded.head is None:
        return "this model has no head for predictions"
    if loaded.prompt_stack:
        return "the encoder's neurons reach the prediction through the decoder only"
    if loaded.row.head or any(block.norm_after for block in loaded.stacks[""].blocks):
        return "norms act on the stream itself, so writes do not add up to the logits"
    return ""


def _readings(loaded: Loaded, answer: int, stream: Tensor, seed: int) -> Tensor:
    """Reading rows of the answer, then of random tokens, [1 + N_RANDOM, d_model].

    Divided by what the final norm divides this stream by, and times the model's logit scale: what
    is written adds its product with a row to that token's logit.
    """
    generator = torch.Generator().manual_seed(seed)
    others = torch.randint(known_ids(loaded), (N_RANDOM,), generator=generator)
    matrix = reading_matrix(loaded)
    scale = logit_scale(loaded) / norm_scale(loaded, loaded.stacks[""].norm, stream)
    return scale * matrix[torch.cat([torch.tensor([answer]), others]).to(matrix.device)]


def _layer(
    loaded: Loaded,
    site: Site,
    values: Tensor,
    place: int,
    counted: Tensor,
    readings: Tensor | None,
) -> dict[str, np.ndarray]:
    """One layer's rows, by field. values [token, neuron]."""
    block, stack = loaded.block(site), loaded.stacks[site.stack]
    writes = neuron_writes(loaded, site.layer, site.stack)  # [neuron, d_model]
    activation = values[place]
    reach = stack.stream_scale
    if block.post_mlp is not None:
        raw = activation @ write_matrix(loaded, site)
        bias = getattr(block.neurons, "bias", None)
        raw = raw if bias is None else raw + bias.float()
        reach = reach / norm_scale(loaded, block.post_mlp, raw)
    size = torch.linalg.vector_norm(writes, dim=1)
    where = values.abs().argmax(dim=0)
    kept = values[counted] if bool(counted.any()) else values
    spread = kept.var(dim=0, correction=0) * size**2
    direct = torch.full_like(activation, torch.nan)
    random = torch.tensor(torch.nan)
    if readings is not None:
        effects = activation[:, None] * (writes @ readings.T) * reach
        direct, random = effects[:, 0], effects[:, 1:].abs().amax(dim=0).mean()
    found = {
        "activation": activation,
        "peak": values.gather(0, where[None])[0],
        "peak_position": where.int(),
        "write": activation.abs() * size * reach,
        "variance_share": spread / spread.sum().clamp_min(1e-30),
        "direct": direct,
        "random_direct": random,
    }
    return {name: tensor.cpu().numpy() for name, tensor in found.items()}
