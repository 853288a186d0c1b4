"""Tokens as points that move through the layers: how far, how straight, who moves them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from core.analyses import paths
from core.analyses.head_nulls import untrained
from core.analyses.neuron_activity import no_direct_effect
from core.analyses.paths import N_RANDOM
from core.analyses.probe_asked import stream_names
from core.analyses.runs import Progress, logit_position
from core.analyses.states import encoded, stream_sites
from core.engine.forward import run
from core.engine.readout import reading_matrix
from core.engine.rows import rows
from core.models.loaded import Loaded, weight
from core.models.tokens import known_ids, pieces, special
from core.results.trajectories import Trajectories
from core.spec.errors import Error
from core.spec.interventions import Change
from core.spec.site import Component

MOST_TEXTS, MOST_PATHS = 24, 48
N_OTHERS = 100  # random tokens that the foretold one is compared with
CONTEXT = 12  # tokens shown in front of one


def trajectories(
    loaded: Loaded,
    progress: Progress,
    *,
    text: str = "",
    texts: Sequence[str] = (),
    position: int | None = None,
    basis: int | str = "all",
    interventions: Sequence[Change] = (),
    nulls: bool = True,
    seed: int = 0,
) -> Trajectories:
    """Follow tokens through the stream, block by block.

    text, texts  one text: every token of it but special ones; several: the last token of each
    position     only this token (of every text)
    basis        what the plane of the picture is fitted on: "all" points, or one number of a point
                 (0 the embedding), whose plane then shows where the others lie
    nulls        adds the same texts with fresh weights

    After "Analyzing Transformer Dynamics as Movement through Embedding Space" (Pandey 2023).
    """
    given = _given(text, texts)
    ids = encoded(loaded, given)
    where = _where(loaded, ids, position)
    seen = _read(loaded, progress, ids, where, interventions)
    points = seen.points
    rng = np.random.default_rng((seed, 0))
    chance = [paths.chance(one, rng) for one in points]
    ways = paths.directions(points)
    plane = _plane(ways, basis)
    fresh, notes = _fresh(loaded, progress, ids, where, seed) if nulls else (None, [])
    aims = _aims(loaded, seen, seed)
    return Trajectories(
        request={},
        texts=given,
        tokens=pieces(loaded, [ids[at][token] for at, token in where]),
        contexts=tuple(_context(loaded, ids[at], token) for at, token in where),
        of_text=tuple(at for at, _ in where),
        position=tuple(token for _, token in where),
        outputs=aims.outputs,
        sites=stream_names(loaded),
        basis=str(basis),
        notes=(*notes, *aims.notes),
        n_random=N_RANDOM,
        seed=seed,
        norm=np.linalg.norm(points, axis=-1),
        attention_share=seen.attention,
        mlp_share=seen.mlp,
        **_shapes(paths.shape(points), chance, fresh),
        to_input=aims.to_input,
        to_output=aims.to_output,
        other_output=aims.other,
        place=plane.of(ways),
        random_place=plane.of(paths.directions(np.stack([one.drawn for one in chance]))),
        plane_share=plane.share,
    )


def _shapes(
    own: paths.Shape, chance: Sequence[paths.Chance], fresh: paths.Shape | None
) -> dict[str, np.ndarray]:
    """How the paths run, and how their controls do, as the result names them."""
    blank = np.full_like(own.to_end, np.nan)
    return {
        "step": own.step,
        "straight": own.straight,
        "random_straight": np.stack([one.straight for one in chance]),
        "fresh_straight": fresh.straight if fresh else blank[:, 0],
        "turn": own.turn,
        "order_turn": np.stack([one.order_turn for one in chance]),
        "fresh_turn": fresh.turn if fresh else blank[:, 1:],
        "to_end": own.to_end,
        "random_to_end": np.stack([one.to_end for one in chance]),
        "order_to_end": np.stack([one.order_to_end for one in chance]),
        "fresh_to_end": fresh.to_end if fresh else blank,
    }


def _given(text: str, texts: Sequence[str]) -> tuple[str, ...]:
    if isinstance(texts, str):
        raise Error("texts= is a list of texts; a single one is text=")
    given = tuple(texts) or ((text,) if text else ())
    if not given:
        raise Error("there is no text to follow tokens through: write at least one word")
    if len(given) > MOST_TEXTS:
        raise Error(f"{len(given)} texts were given and at most {MOST_TEXTS} can be followed")
    return given


def _where(
    loaded: Loaded, ids: Sequence[Sequence[int]], position: int | None
) -> list[tuple[int, int]]:
    """(text, token) of every path."""
    if position is not None:
        for number, one in enumerate(ids, start=1):
            if not 0 <= position < len(one):
                raise Error(f"position {position}: text {number} has tokens 0 to {len(one) - 1}")
        return [(at, position) for at in range(len(ids))]
    plain = [
        [token for token, marked in enumerate(special(loaded, one)) if not marked] for one in ids
    ]
    if len(ids) > 1:
        return [(at, each[-1] if each else len(ids[at]) - 1) for at, each in enumerate(plain)]
    found = plain[0] or [len(ids[0]) - 1]
    return [(0, token) for token in found[-MOST_PATHS:]]


@dataclass(frozen=True)
class _Seen:
    """points [path, point, d]; attention, mlp [path, layer] shares of the steps; input and output
    ids [path], -1 without a prediction."""

    points: np.ndarray
    attention: np.ndarray
    mlp: np.ndarray
    inputs: list[int]
    outputs: list[int]


def _read(
    loaded: Loaded,
    progress: Progress,
    ids: Sequence[Sequence[int]],
    where: Sequence[tuple[int, int]],
    change: Sequence[Change],
) -> _Seen:
    """States, what attention and MLP write, and what is foretold, one forward a text."""
    layers = stream_sites(loaded)
    stream = [replace(layers[0], component="resid_pre"), *layers]
    parts: tuple[Component, Component] = ("attn_out", "mlp_out")
    written = [[replace(site, component=part) for site in layers] for part in parts]
    states, shares, outputs = [], [], []
    foretold = loaded.head is not None and not loaded.prompt_stack
    for number, one in enumerate(ids):
        progress.step(0.7 * number / len(ids), f"text {number + 1} of {len(ids)}")
        tokens = [token for at, token in where if at == number]
        seen = run(
            loaded,
            rows(loaded, [one]),
            read=[*stream, *written[0], *written[1]],
            change=[change] if change else (),
            logits=[logit_position(loaded, token) for token in tokens] if foretold else "none",
            check=progress.check,
        )
        here = torch.stack([seen.values[site][0, tokens].double() for site in stream], dim=1)
        steps = here.diff(dim=1)
        size = steps.square().sum(dim=-1).clamp_min(1e-300)
        each = [
            torch.stack([seen.values[site][0, tokens].double() for site in part], dim=1)
            for part in written
        ]
        shares.append(torch.stack([(part * steps).sum(dim=-1) / size for part in each]))
        states.append(here)
        best = [-1] * len(tokens)
        if seen.logits is not None:
            best = seen.logits[0, :, : known_ids(loaded)].argmax(dim=-1).tolist()
        outputs += best
    attention, mlp = torch.cat(shares, dim=1).cpu().numpy()
    points = torch.cat(states).cpu().numpy()
    return _Seen(points, attention, mlp, [ids[at][token] for at, token in where], outputs)


@dataclass(frozen=True)
class _Aims:
    """Cosines [path, point] with the token that stands there, the one foretold, and others."""

    outputs: tuple[str, ...]
    to_input: np.ndarray
    to_output: np.ndarray
    other: np.ndarray
    notes: tuple[str, ...]


def _aims(loaded: Loaded, seen: _Seen, seed: int) -> _Aims:
    points, nothing = seen.points, np.full(seen.points.shape[:2], np.nan)
    table = weight(loaded.module.get_input_embeddings())  # type: ignore[operator]
    assert table is not None
    to_input, notes = nothing, []
    if table.shape[1] == loaded.d_model:
        inputs = table[seen.inputs].double().cpu().numpy()
        to_input = paths.cosine(points, inputs[:, None])
    why = no_direct_effect(loaded)
    if why:
        notes.append(f"no direction of the token foretold: {why}")
        return _Aims(("",) * len(points), to_input, nothing, nothing, tuple(notes))
    matrix = reading_matrix(loaded)
    reads = matrix[seen.outputs].double().cpu().numpy()
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(known_ids(loaded), (N_OTHERS,), generator=generator)
    others = paths.directions(matrix[drawn.to(matrix.device)].double().cpu().numpy())
    other = (paths.directions(points) @ others.T).mean(axis=-1)
    shown = pieces(loaded, seen.outputs)
    return _Aims(shown, to_input, paths.cosine(points, reads[:, None]), other, ())


def _plane(ways: np.ndarray, basis: int | str) -> paths.Flat:
    """The plane of all directions, or of those at one point."""
    points = ways.shape[1]
    if basis == "all":
        return paths.flat(ways.reshape(-1, ways.shape[-1]))
    whole = isinstance(basis, int) and not isinstance(basis, bool)
    if not whole or not 0 <= int(basis) < points:
        raise Error(f"basis is 'all' or a point from 0 to {points - 1}, not {str(basis)[:20]!r}")
    if len(ways) < 3:
        raise Error("a plane of one point of the way needs three paths or more; take basis='all'")
    return paths.flat(ways[:, int(basis)])


def _fresh(
    loaded: Loaded, progress: Progress, ids: Sequence[Sequence[int]],
    where: Sequence[tuple[int, int]], seed: int,
) -> tuple[paths.Shape | None, list[str]]:  # fmt: skip
    """The shapes of the same paths with fresh weights, or why there are none."""
    progress.step(0.8, "fresh weights")
    twin, why = untrained(loaded, seed)
    if twin is None:
        return None, [why]
    return paths.shape(_read(twin, progress, ids, where, ()).points), []


def _context(loaded: Loaded, ids: Sequence[int], token: int) -> str:
    return "".join(pieces(loaded, ids[max(0, token - CONTEXT) : token + 1]))
