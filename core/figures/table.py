"""The one table of figures: which module draws the answer of which analysis."""

from collections.abc import Callable
from types import ModuleType

import plotly.graph_objects as go

from core.figures import (
    attention,
    blind_spots,
    categories,
    circle,
    compare,
    concept_directions,
    concept_neuron,
    concept_push,
    core_neurons,
    depth,
    depth_emergence,
    dictionary_check,
    dictionary_compare,
    dictionary_report,
    direction,
    domain_neurons,
    dose,
    entity_features,
    erase,
    explain_test,
    feature_absorption,
    feature_attribution,
    feature_card,
    feature_concept,
    feature_effect,
    feature_emergence,
    feature_fires,
    feature_geometry,
    feature_label,
    feature_lens,
    feature_list,
    feature_map,
    feature_neighbours,
    feature_texts,
    fit_codebook,
    frames,
    gallery,
    geometry,
    graph_tracing,
    guide,
    guided_decoding,
    head_compare,
    head_composition,
    head_consistency,
    head_contexts,
    head_effect,
    head_false_induction,
    head_importance,
    head_overlap,
    head_ovqk,
    head_ranking,
    head_scores,
    head_sources,
    head_successor,
    head_types,
    heads,
    label_test,
    lens,
    lens_depth,
    local_map,
    massive_values,
    match,
    meaning_control,
    minimal_pairs,
    neuron_activity,
    neuron_card,
    neuron_classes,
    neuron_examples,
    neuron_fires,
    neuron_map,
    neuron_match,
    neuron_plane,
    neuron_search,
    neuron_texts,
    neuron_tokens,
    next_tokens,
    parallelogram,
    probe_controls,
    probe_family,
    probe_sites,
    relations,
    remove,
    retrieval,
    separability,
    sharding,
    shared_neurons,
    sparse_probes,
    spectrum,
    steer,
    task_spot,
    token_neurons,
    train_dictionary,
    trajectories,
    transfer,
    unit_effect,
    unlabelled_probe,
)
from core.figures.theme import Look
from core.results.base import Result
from core.spec.errors import Error

# Every module has figure(result, look, **chosen), title(result) and caption(result).
MODULES: dict[str, ModuleType] = {
    "attention": attention,
    "compare": compare,
    "concept_neuron": concept_neuron,
    "core_neurons": core_neurons,
    "concept_directions": concept_directions,
    "concept_push": concept_push,
    "frames": frames,
    "guided_decoding": guided_decoding,
    "dictionary_check": dictionary_check,
    "blind_spots": blind_spots,
    "separability": separability,
    "categories": categories,
    "dictionary_compare": dictionary_compare,
    "entity_features": entity_features,
    "dictionary_report": dictionary_report,
    "depth": depth,
    "direction": direction,
    "domain_neurons": domain_neurons,
    "dose": dose,
    "erase": erase,
    "explain_test": explain_test,
    "feature_card": feature_card,
    "feature_concept": feature_concept,
    "feature_absorption": feature_absorption,
    "feature_emergence": feature_emergence,
    "sparse_probes": sparse_probes,
    "spectrum": spectrum,
    "fit_codebook": fit_codebook,
    "feature_fires": feature_fires,
    "feature_label": feature_label,
    "feature_neighbours": feature_neighbours,
    "gallery": gallery,
    "geometry": geometry,
    "feature_list": feature_list,
    "feature_attribution": feature_attribution,
    "feature_geometry": feature_geometry,
    "feature_effect": feature_effect,
    "feature_lens": feature_lens,
    "feature_map": feature_map,
    "feature_texts": feature_texts,
    "guide": guide,
    "head_compare": head_compare,
    "head_composition": head_composition,
    "head_contexts": head_contexts,
    "head_effect": head_effect,
    "head_false_induction": head_false_induction,
    "head_importance": head_importance,
    "head_ovqk": head_ovqk,
    "head_ranking": head_ranking,
    "head_scores": head_scores,
    "head_sources": head_sources,
    "head_successor": head_successor,
    "head_types": head_types,
    "heads": heads,
    "label_test": label_test,
    "lens": lens,
    "neuron_activity": neuron_activity,
    "neuron_card": neuron_card,
    "neuron_classes": neuron_classes,
    "neuron_examples": neuron_examples,
    "neuron_fires": neuron_fires,
    "neuron_map": neuron_map,
    "neuron_match": neuron_match,
    "neuron_plane": neuron_plane,
    "neuron_search": neuron_search,
    "neuron_texts": neuron_texts,
    "neuron_tokens": neuron_tokens,
    "next_tokens": next_tokens,
    "lens_depth": lens_depth,
    "unlabelled_probe": unlabelled_probe,
    "probe_family": probe_family,
    "probe_controls": probe_controls,
    "probe_sites": probe_sites,
    "depth_emergence": depth_emergence,
    "meaning_control": meaning_control,
    "minimal_pairs": minimal_pairs,
    "transfer": transfer,
    "remove": remove,
    "head_consistency": head_consistency,
    "sharding": sharding,
    "graph_tracing": graph_tracing,
    "trajectories": trajectories,
    "local_map": local_map,
    "match": match,
    "massive_values": massive_values,
    "head_overlap": head_overlap,
    "retrieval": retrieval,
    "shared_neurons": shared_neurons,
    "steer": steer,
    "task_spot": task_spot,
    "token_neurons": token_neurons,
    "train_dictionary": train_dictionary,
    "unit_effect": unit_effect,
    "circle": circle,
    "relations": relations,
    "parallelogram": parallelogram,
}

FIGURES: dict[str, Callable[..., go.Figure]] = {
    name: module.figure for name, module in MODULES.items()
}


def figure(result: Result, look: Look | None = None, **chosen: object) -> go.Figure:
    """The figure of any answer, as the pages draw it. Raises `Error` where there is none."""
    fig: go.Figure = _module(result).figure(result, look or Look(), **chosen)
    return fig


def caption(result: Result) -> str:
    """The control and the sample of any answer, in words (plain text)."""
    words: str = _module(result).caption(result)
    return words


def title(result: Result) -> str:
    """What the figure of any answer shows, in words (plain text)."""
    words: str = _module(result).title(result)
    return words


def _module(result: Result) -> ModuleType:
    if result.name not in MODULES:
        raise Error(
            f"there is no figure for {result.name or 'this'!r}; figures exist for "
            f"{', '.join(MODULES)}; every answer has .to_frame()"
        )
    return MODULES[result.name]
