"""What heads add to a score that is read behind them, with every norm held as it is.

Direct logit attribution ("A Mathematical Framework for Transformer Circuits", 2021): at one token
a score is reading . stream + constant, the norms' sizes being held; what a head writes adds its
product with the reading.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.engine.frozen import logit_scale, norm_scale, norm_scales
from core.engine.readout import centres, norm_weight, reading_matrix
from core.engine.writes import write_matrix
from core.models.loaded import Loaded, weight
from core.models.tokens import known_ids
from core.spec.site import Site


@dataclass(frozen=True)
class Score:
    """A logit against another, or (`against` None) against the mean of the vocabulary."""

    answer: int
    against: int | None = None

    def of(
        self, loaded: Loaded, logits: Float[Tensor, "*places d_vocab"]
    ) -> Float[Tensor, "*places"]:
        """The score of logits, any cap on them undone."""
        known = before_cap(loaded, logits.float())[..., : known_ids(loaded)]
        other = known.mean(dim=-1) if self.against is None else known[..., self.against]
        return known[..., self.answer] - other

    def row(self, loaded: Loaded, matrix: Tensor) -> Tensor:
        """The difference of two rows of a table over the vocabulary, [d_vocab, ...] to [...]."""
        mean = matrix[: known_ids(loaded)].mean(dim=0)
        return matrix[self.answer] - (mean if self.against is None else matrix[self.against])


def before_cap(
    loaded: Loaded, logits: Float[Tensor, "*places d_vocab"]
) -> Float[Tensor, "*places d_vocab"]:
    """Logits as they were in front of the model's cap; as given where it has none."""
    cap = logit_cap(loaded)
    return cap * torch.atanh((logits / cap).clamp(-1 + 1e-6, 1 - 1e-6)) if cap else logits


def logit_cap(loaded: Loaded) -> float:
    """The largest logit the model can say, 0 for no cap."""
    name = loaded.row.logit_cap
    return float(getattr(loaded.config, name, None) or 0.0) if name else 0.0


def reading(
    loaded: Loaded, score: Score, stream: Float[Tensor, " d_model"]
) -> Float[Tensor, " d_model"]:
    """What a score reads from the last resid_post, whose own size the final norm keeps to."""
    row = score.row(loaded, reading_matrix(loaded))
    return row * (logit_scale(loaded) / norm_scale(loaded, loaded.stacks[""].norm, stream))


def constant(loaded: Loaded, score: Score) -> float:
    """The part of a score that biases of final norm and unembedding give, whatever was written."""
    embeddings = loaded.module.get_output_embeddings()  # type: ignore[operator]
    norm, found = loaded.stacks[""].norm, 0.0
    shift = None if norm is None else weight(norm, "bias")
    if shift is not None:
        found += float(score.row(loaded, weight(embeddings)) @ shift)  # type: ignore[arg-type]
    bias = weight(embeddings, "bias")
    if bias is not None:
        found += float(score.row(loaded, bias))
    return found * logit_scale(loaded)


def behind_norm(
    loaded: Loaded,
    norm: nn.Module | None,
    read: Float[Tensor, "*reads d_model"],
    written: Float[Tensor, " d_model"],
) -> Float[Tensor, "*reads d_model"]:
    """What is read in front of a norm when `read` is read behind it.

    `written` is what arrives at the norm; what it is divided by is held.
    """
    if norm is None:
        return read
    read = read * norm_weight(loaded, norm)
    read = read - read.mean(dim=-1, keepdim=True) if centres(norm) else read
    return read / norm_scale(loaded, norm, written)


def head_readings(
    loaded: Loaded,
    layer: int,
    read: Float[Tensor, "*reads d_model"],
    z: Float[Tensor, "head d_head"],
    stack: str = "",
) -> tuple[Float[Tensor, "*reads head d_head"], Float[Tensor, "*reads"]]:
    """What is read from each head of a layer when `read` is read from the stream behind it.

    z [head, d_head] are the heads at this token, for the norm behind the attention where there is
    one. What head h adds to the reading: z[h] . answer[h]. Beside it what biases add.
    """
    site = Site(layer, "head", stack=stack)
    block, scale = loaded.block(site), loaded.stacks[stack].stream_scale
    write = write_matrix(loaded, site)  # [head, d_head, d_model]
    bias = weight(block.heads, "bias")
    bias = write.new_zeros(loaded.d_model) if bias is None else bias
    behind = None if block.post_attn is None else weight(block.post_attn, "bias")
    constant_ = 0.0 if behind is None else read @ behind
    if block.post_attn is not None:
        written = torch.einsum("he,hed->d", z.float(), write) + bias
        read = behind_norm(loaded, block.post_attn, read, written)
    return scale * torch.einsum("hed,...d->...he", write, read), scale * (read @ bias + constant_)


def written_along(
    loaded: Loaded,
    layer: int,
    reads: Float[Tensor, "read d_model"],
    z: Float[Tensor, "*places head d_head"],
    stack: str = "",
) -> Float[Tensor, "read *places head"]:
    """How far every head of a layer moves the stream along each of some directions.

    z [..., head, d_head] at any places; a norm behind the attention is held at each of them.
    """
    site = Site(layer, "head", stack=stack)
    block, z = loaded.block(site), z.float()
    write, size = write_matrix(loaded, site), torch.ones((), device=z.device)
    if block.post_attn is not None:
        bias = weight(block.heads, "bias")
        written = torch.einsum("...he,hed->...d", z, write)
        size = norm_scales(loaded, block.post_attn, written if bias is None else written + bias)
        reads = reads * norm_weight(loaded, block.post_attn)
        if centres(block.post_attn):
            reads = reads - reads.mean(dim=-1, keepdim=True)
    maps = torch.einsum("hed,rd->rhe", write, reads)
    found = torch.einsum("...he,rhe->r...h", z, maps)
    return loaded.stacks[stack].stream_scale * found / size[..., None]


@dataclass(frozen=True)
class Parts:
    """A score at one token as a sum of what was written: logit units, in front of any cap.

    heads [layer, head]; attention, mlp, bias [layer], `attention` being heads + output bias;
    start: the embeddings; constant: biases at the end. score is what the model said.
    """

    heads: Tensor
    attention: Tensor
    bias: Tensor
    mlp: Tensor
    start: float
    constant: float
    score: float

    @property
    def remainder(self) -> float:
        """The score less the sum of its parts: rounding, if everything is right."""
        sums = float(self.attention.sum() + self.mlp.sum())
        return self.score - (self.start + sums + self.constant)


def part_sites(loaded: Loaded, position: int) -> list[Site]:
    """What has to be read for `parts`."""
    layers = range(loaded.n_layers)
    each = [
        Site(layer, part, position=position)
        for part in ("head", "attn_out", "mlp_out")
        for layer in layers
    ]
    last = Site(loaded.n_layers - 1, "resid_post", position=position)
    return [*each, Site(0, "resid_pre", position=position), last]


def parts(
    loaded: Loaded,
    score: Score,
    values: Mapping[Site, Tensor],
    logits: Float[Tensor, " d_vocab"],
    position: int,
) -> tuple[Parts, list[Tensor]]:
    """The parts of a score from one run that read `part_sites`, and the readings of all heads.

    values[site] [1, 1, ...]. The readings are those of `head_readings`, [head, d_head] by layer.
    """

    def at(layer: int, component: str) -> Tensor:
        site = Site(layer, component, position=position)  # type: ignore[arg-type]
        return values[site][0, 0].float()

    layers = range(loaded.n_layers)
    read = reading(loaded, score, at(loaded.n_layers - 1, "resid_post"))
    z = [at(layer, "head") for layer in layers]
    readings, biases = zip(
        *(head_readings(loaded, layer, read, z[layer]) for layer in layers), strict=True
    )
    found = Parts(
        heads=torch.stack([(z[n] * readings[n]).sum(dim=-1) for n in layers]).cpu(),
        attention=torch.stack([at(n, "attn_out") @ read for n in layers]).cpu(),
        bias=torch.stack(biases).cpu(),
        mlp=torch.stack([at(n, "mlp_out") @ read for n in layers]).cpu(),
        start=float(at(0, "resid_pre") @ read),
        constant=constant(loaded, score),
        score=float(score.of(loaded, logits)),
    )
    return found, list(readings)
