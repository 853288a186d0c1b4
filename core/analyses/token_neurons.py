"""The strongest neurons at one token, layer by layer, and what they write."""

from collections.abc import Sequence

import torch
from torch import Tensor

from core.analyses.runs import Progress, at_position, prompt_rows
from core.analyses.scale import neuron_peaks, neuron_sites
from core.engine.forward import run
from core.engine.readout import reading_matrix
from core.engine.writes import neuron_writes
from core.models.loaded import Loaded
from core.models.tokens import known_ids, pieces
from core.results.token_neurons import TokenNeurons
from core.spec.interventions import Change
from kernels.lens_topk import lens_topk

N_RANDOM = 64
N_TOKENS = 6


def token_neurons(
    loaded: Loaded,
    progress: Progress,
    *,
    text: str,
    interventions: Sequence[Change] = (),
    position: int | None = None,
    k: int = 6,
    seed: int = 0,
) -> TokenNeurons:
    """The k neurons of each layer that move the stream furthest at one token.

    Ranked by |activation| x ||write vector||. What they write: the write vector, with the sign
    of the activation, read through the unembedding ("Decoding specialised feature neurons in
    LLMs with the final projection layer"). Control: the mean over 64 random neurons of the layer.
    """
    prompt, ids = prompt_rows(loaded, text)
    place = at_position(ids, position)
    sites = neuron_sites(loaded)
    loaded.check(sites[0])
    seen = run(
        loaded, prompt, read=sites, change=[interventions], logits="none", check=progress.check
    )
    peaks, n_reference = neuron_peaks(loaded, progress)
    k = min(k, loaded.d_mlp)
    found = []
    with loaded.busy():
        for layer, site in enumerate(sites):
            progress.check()
            found.append(_layer(loaded, layer, seen.values[site][0], place, k, seed))
    chosen, activation, write, random_write, tops, bottoms = zip(*found, strict=True)
    largest = [
        torch.maximum(peaks[layer][neurons], seen.values[site][0][:, neurons].abs().amax(0).cpu())
        for layer, (site, neurons) in enumerate(zip(sites, chosen, strict=True))
    ]
    return TokenNeurons(
        request={},
        stack=loaded.prompt_stack,
        tokens=pieces(loaded, ids),
        position=place,
        writes=tops,
        suppresses=bottoms,
        n_reference=n_reference,
        n_random=min(N_RANDOM, loaded.d_mlp),
        neuron=torch.stack(chosen).numpy(),
        activation=torch.stack(activation).numpy(),
        peak=torch.stack(largest).numpy(),
        write=torch.stack(write).numpy(),
        random_write=torch.stack(random_write).numpy(),
    )


def _layer(
    loaded: Loaded, layer: int, values: Tensor, place: int, k: int, seed: int
) -> tuple[
    Tensor, Tensor, Tensor, Tensor, tuple[tuple[str, ...], ...], tuple[tuple[str, ...], ...]
]:
    """One layer's strongest neurons: ids, activations, sizes, control, tokens up and down."""
    vectors = neuron_writes(loaded, layer, loaded.prompt_stack)
    activation = values[place].float()
    size = activation.abs() * torch.linalg.vector_norm(vectors, dim=-1)
    chosen = size.topk(k).indices
    generator = torch.Generator().manual_seed(seed * 1_000 + layer)
    others = torch.randperm(len(size), generator=generator)[:N_RANDOM].to(size.device)
    directions = vectors[chosen] * activation[chosen].sign()[:, None]
    tops, bottoms = written(loaded, directions, N_TOKENS)
    return (
        chosen.cpu(),
        activation[chosen].cpu(),
        size[chosen].cpu(),
        size[others].mean().cpu(),
        tops,
        bottoms,
    )


def written(
    loaded: Loaded, directions: Tensor, k: int
) -> tuple[tuple[tuple[str, ...], ...], tuple[tuple[str, ...], ...]]:
    """The k tokens each direction [n, d_model] raises and lowers most; none where they
    cannot be read through an unembedding (BERT's head, an encoder beside a decoder)."""
    if loaded.head is None or loaded.row.head or loaded.prompt_stack:
        return ((),) * len(directions), ((),) * len(directions)
    words = known_ids(loaded)
    _, top, _, bottom = lens_topk(directions, reading_matrix(loaded), min(k, words), words)
    return (
        tuple(pieces(loaded, row) for row in top.tolist()),
        tuple(pieces(loaded, row) for row in bottom.tolist()),
    )
