"""Every analysis, one line each: what it answers, the function, the version of its method.

Raise the version when the numbers change: stored answers of the old one are then not used.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass

from core.analyses.add_dictionary import add_dictionary
from core.analyses.attention import attention
from core.analyses.blind_spots import blind_spots
from core.analyses.calibration import calibration
from core.analyses.card import card
from core.analyses.categories import categories
from core.analyses.circle import circle
from core.analyses.circle_patch import circle_patch
from core.analyses.compare import compare
from core.analyses.concept_directions import concept_directions
from core.analyses.concept_neuron import concept_neuron
from core.analyses.concept_push import concept_push
from core.analyses.core_neurons import core_neurons
from core.analyses.crystals import crystals
from core.analyses.depth import depth
from core.analyses.depth_emergence import depth_emergence
from core.analyses.depth_noise import depth_noise
from core.analyses.detect_guide import detect_guide
from core.analyses.dictionaries import dictionaries
from core.analyses.dictionary_check import dictionary_check
from core.analyses.dictionary_compare import dictionary_compare
from core.analyses.dictionary_report import dictionary_report
from core.analyses.direction import direction
from core.analyses.domain_neurons import domain_neurons
from core.analyses.dose import dose
from core.analyses.edited import edited
from core.analyses.entity_features import entity_features
from core.analyses.erase import erase
from core.analyses.explain_test import explain_test
from core.analyses.feature_absorption import feature_absorption
from core.analyses.feature_attribution import feature_attribution
from core.analyses.feature_card import feature_card
from core.analyses.feature_concept import feature_concept
from core.analyses.feature_effect import feature_effect
from core.analyses.feature_emergence import feature_emergence
from core.analyses.feature_fires import feature_fires
from core.analyses.feature_geometry import feature_geometry
from core.analyses.feature_label import feature_label
from core.analyses.feature_lens import feature_lens
from core.analyses.feature_list import feature_list
from core.analyses.feature_map import feature_map
from core.analyses.feature_neighbours import feature_neighbours
from core.analyses.feature_texts import feature_texts
from core.analyses.fit_codebook import fit_codebook
from core.analyses.flips import flips
from core.analyses.frames import frames
from core.analyses.gallery import gallery
from core.analyses.geometry import geometry
from core.analyses.graph_tracing import graph_tracing
from core.analyses.guide import guide
from core.analyses.guided_decoding import guided_decoding
from core.analyses.head_compare import head_compare
from core.analyses.head_composition import head_composition
from core.analyses.head_consistency import head_consistency
from core.analyses.head_contexts import head_contexts
from core.analyses.head_effect import head_effect
from core.analyses.head_false_induction import head_false_induction
from core.analyses.head_importance import head_importance
from core.analyses.head_overlap import head_overlap
from core.analyses.head_ovqk import head_ovqk
from core.analyses.head_patterns import head_patterns
from core.analyses.head_ranking import head_ranking
from core.analyses.head_scores import head_scores
from core.analyses.head_sources import head_sources
from core.analyses.head_successor import head_successor
from core.analyses.head_types import head_types
from core.analyses.heads import heads
from core.analyses.irreducible import irreducible
from core.analyses.label_test import label_test
from core.analyses.layer_map import layer_map
from core.analyses.lens import lens
from core.analyses.lens_depth import lens_depth
from core.analyses.local_map import local_map
from core.analyses.massive_values import massive_values
from core.analyses.match import match
from core.analyses.meaning_control import meaning_control
from core.analyses.minimal_pairs import minimal_pairs
from core.analyses.name_feature import name_feature
from core.analyses.neuron_activity import neuron_activity
from core.analyses.neuron_card import neuron_card
from core.analyses.neuron_classes import neuron_classes
from core.analyses.neuron_examples import neuron_examples
from core.analyses.neuron_fires import neuron_fires
from core.analyses.neuron_map import neuron_map
from core.analyses.neuron_match import neuron_match
from core.analyses.neuron_plane import neuron_plane
from core.analyses.neuron_search import neuron_search
from core.analyses.neuron_texts import neuron_texts
from core.analyses.neuron_tokens import neuron_tokens
from core.analyses.next_tokens import next_tokens
from core.analyses.parallelogram import parallelogram
from core.analyses.probe_controls import probe_controls
from core.analyses.probe_family import probe_family
from core.analyses.probe_sites import probe_sites
from core.analyses.relations import relations
from core.analyses.remove import remove
from core.analyses.retrieval import retrieval
from core.analyses.reverse_dictionary import reverse_dictionary
from core.analyses.scale import scale
from core.analyses.semantic_hub import semantic_hub
from core.analyses.separability import separability
from core.analyses.sharding import sharding
from core.analyses.shared_neurons import shared_neurons
from core.analyses.shared_tokens import shared_tokens
from core.analyses.shift import shift
from core.analyses.sparse_probes import sparse_probes
from core.analyses.spectrum import spectrum
from core.analyses.steer import steer
from core.analyses.task_spot import task_spot
from core.analyses.token_neurons import token_neurons
from core.analyses.topics import topics
from core.analyses.train_dictionary import train_dictionary
from core.analyses.training import training
from core.analyses.trajectories import trajectories
from core.analyses.transfer import transfer
from core.analyses.translate import translate
from core.analyses.unit_effect import unit_effect
from core.analyses.unit_values import unit_values
from core.analyses.unlabelled_probe import unlabelled_probe
from core.results.base import Result
from core.spec.errors import Error


@dataclass(frozen=True, slots=True)
class Analysis:
    """`run(loaded, progress, **options)`; options are the function's keyword arguments."""

    run: Callable[..., Result]
    about: str
    version: int = 1
    lasting: bool = True  # False: the answer is about this process and no other may find it

    def check(self, name: str, options: set[str]) -> None:
        """Raise `Error` for an option this analysis does not have, or one that is missing."""
        known = {
            key: value
            for key, value in inspect.signature(self.run).parameters.items()
            if value.kind is inspect.Parameter.KEYWORD_ONLY
        }
        strange = sorted(options - set(known))
        if strange:
            raise Error(f"{name} has no option {strange[0]!r}; it has {', '.join(known)}")
        empty = inspect.Parameter.empty
        missing = [key for key, value in known.items() if value.default is empty]
        missing = [key for key in missing if key not in options]
        if missing:
            raise Error(f"{name} needs {', '.join(f'{key}=' for key in missing)}")


ANALYSES: dict[str, Analysis] = {
    "card": Analysis(
        card, "What the model is, which load checks it passed, what is missing.", lasting=False
    ),
    "next_tokens": Analysis(next_tokens, "What comes next: clean, clamped and controls."),
    "lens": Analysis(lens, "What each layer would say if the model stopped there."),
    "local_map": Analysis(
        local_map, "Which tokens contribute how much of an answer, exactly: the local linear map."
    ),
    "graph_tracing": Analysis(
        graph_tracing, "Does a walk on a graph re-arrange its words? Beside averaging and chance."
    ),
    "training": Analysis(
        training, "What heads, concepts, circuits and neurons become over training, and when."
    ),
    "trajectories": Analysis(
        trajectories,
        "How tokens travel through the layers: steps, turns, who moves them, where to.",
    ),
    "token_neurons": Analysis(token_neurons, "The strongest neurons at a token, what they write."),
    "attention": Analysis(attention, "Where one head looks on a text."),
    "head_effect": Analysis(
        head_effect, "What the answer loses when each head is ablated.", version=2
    ),
    "head_importance": Analysis(
        head_importance, "How much a corpus needs each head: all estimated, some checked exactly."
    ),
    "head_ranking": Analysis(
        head_ranking, "Which heads matter for a prompt or a concept, by what they cause."
    ),
    "head_types": Analysis(
        head_types,
        "What each head may be called: labels by rules, with chance beside each.",
        version=2,
    ),
    "head_sources": Analysis(
        head_sources, "What one head takes from each token, and what that says to the answer."
    ),
    "head_patterns": Analysis(head_patterns, "Where all heads look on a text, as small pictures."),
    "head_compare": Analysis(
        head_compare, "Two heads on one text: how alike they are, what each and both cause."
    ),
    "head_contexts": Analysis(
        head_contexts, "Where one head attends most in a corpus, and pairs of every other weight."
    ),
    "heads": Analysis(heads, "What every head looks at: scores, controls and roles."),
    "head_scores": Analysis(
        head_scores,
        "What every head does with a token, by its weights: copy, suppress, count on.",
        version=2,
    ),
    "head_ovqk": Analysis(
        head_ovqk, "One head by its weights: what it writes for a token, what it looks for."
    ),
    "head_successor": Analysis(
        head_successor,
        "Does one head turn an item of an ordered list into the next one?",
        version=2,
    ),
    "head_composition": Analysis(
        head_composition,
        "Which heads read what which earlier heads write, by their weights.",
        version=2,
    ),
    "neuron_classes": Analysis(
        neuron_classes, "What neurons do with what they read: strengthen, weaken, or neither."
    ),
    "neuron_tokens": Analysis(neuron_tokens, "Every neuron of a layer read as tokens."),
    "neuron_map": Analysis(
        neuron_map, "All neurons of the model at a glance: what they write, and how surely."
    ),
    "neuron_card": Analysis(
        neuron_card, "One neuron: what it reads and writes, its class, its nearest neurons."
    ),
    "neuron_search": Analysis(neuron_search, "The neurons of a word, a word list or a pattern."),
    "neuron_match": Analysis(neuron_match, "Which neurons two models of one architecture share."),
    "neuron_activity": Analysis(
        neuron_activity, "What every neuron does on one text, and what it says about the answer."
    ),
    "neuron_examples": Analysis(
        neuron_examples, "What every neuron responds to in a corpus: density, ends, top contexts."
    ),
    "neuron_fires": Analysis(
        neuron_fires, "Which neurons fire on a list of words, a pattern or a planted label."
    ),
    "neuron_plane": Analysis(
        neuron_plane, "One neuron's gate against its up value over a corpus: one meaning or more."
    ),
    "neuron_texts": Analysis(
        neuron_texts, "One neuron's texts: strongest, weakest, every height between, and any."
    ),
    "gallery": Analysis(
        gallery, "How often every feature of a dictionary fires in a text, and how strongly."
    ),
    "add_dictionary": Analysis(
        add_dictionary, "Add a dictionary from a path, or read one otherwise.", lasting=False
    ),
    "name_feature": Analysis(name_feature, "Give a feature a label of one's own.", lasting=False),
    "feature_list": Analysis(
        feature_list,
        "Features of a dictionary, sorted, filtered and searched, with their peaks.",
        lasting=False,
    ),
    "feature_attribution": Analysis(
        feature_attribution, "Which features made this prediction, and whether ablation agrees."
    ),
    "feature_geometry": Analysis(
        feature_geometry, "The cloud of a dictionary: its spectrum, and lobes that fire together."
    ),
    "feature_effect": Analysis(
        feature_effect, "What adding or removing a feature does to next tokens, by all paths."
    ),
    "feature_lens": Analysis(
        feature_lens, "Which tokens features promote and suppress, beside random directions."
    ),
    "feature_texts": Analysis(
        feature_texts, "Which features fire on a text, token by token, and what they leave out."
    ),
    "feature_concept": Analysis(
        feature_concept, "Which features carry a concept, beside probes and beyond chance."
    ),
    "feature_map": Analysis(
        feature_map,
        "All features laid out by what they write, and how far to trust the picture.",
        version=2,
    ),
    "feature_neighbours": Analysis(
        feature_neighbours,
        "Which features are near one: by its rows, by firing with it; and which neurons.",
    ),
    "feature_fires": Analysis(
        feature_fires, "Which features fire on a pattern, beside the best neuron and chance."
    ),
    "feature_card": Analysis(
        feature_card, "One feature: what it fires on at every height, and how it is built."
    ),
    "steer": Analysis(steer, "Texts written clean, clamped and under a random control."),
    "dose": Analysis(
        dose,
        "How the answer responds to the strength of one change, and what it breaks.",
        version=2,
    ),
    "unit_effect": Analysis(unit_effect, "What one unit causes: ablated, activated, suppressed."),
    "unit_values": Analysis(unit_values, "What one unit does at every token of a text."),
    "edited": Analysis(
        edited, "Changes written into the weights, saved as a model folder.", lasting=False
    ),
    "guide": Analysis(guide, "A direction added at many strengths: does the text follow it?"),
    "remove": Analysis(remove, "A direction taken out everywhere: what the model stops doing."),
    "erase": Analysis(erase, "A concept erased linearly: what is left of it, what it costs."),
    "direction": Analysis(direction, "A concept's direction at every layer, and whether it holds."),
    "depth": Analysis(
        depth, "At which layer a concept becomes readable, and what words alone already tell."
    ),
    "dictionary_check": Analysis(
        dictionary_check,
        "Is a dictionary read as it was trained? Every convention tried on a text.",
    ),
    "dictionary_report": Analysis(
        dictionary_report, "How good dictionaries are: features a token, FVU, what they cost."
    ),
    "feature_label": Analysis(
        feature_label, "What features respond to: rules from one half, scored on the other."
    ),
    "label_test": Analysis(
        label_test, "How well a typed label says where a feature fires; texts to judge oneself."
    ),
    "dictionary_compare": Analysis(
        dictionary_compare, "Which features two dictionaries share, one to one, beside chance."
    ),
    "blind_spots": Analysis(
        blind_spots, "Features that one text or model has less or more of than another."
    ),
    "entity_features": Analysis(
        entity_features, "Features that tell names a model knows from names it does not."
    ),
    "core_neurons": Analysis(core_neurons, "The few neurons a text keeps using."),
    "domain_neurons": Analysis(
        domain_neurons, "Neurons that fire on one kind of text and hardly on others."
    ),
    "explain_test": Analysis(
        explain_test, "A claim about a neuron: what it fires on, what it causes."
    ),
    "shared_neurons": Analysis(
        shared_neurons, "Neurons that kinds of text, or two models, have in common."
    ),
    "task_spot": Analysis(task_spot, "The few neurons one kind of text needs, found and ablated."),
    "concept_neuron": Analysis(
        concept_neuron, "The neuron that writes a concept, found and tested with noise."
    ),
    "retrieval": Analysis(
        retrieval, "Which heads fetch what a text says, and does the answer need them?"
    ),
    "head_overlap": Analysis(
        head_overlap, "Which heads tasks share, and what breaks without them."
    ),
    "dictionaries": Analysis(dictionaries, "Which sparse dictionaries the model has.", version=2),
    "massive_values": Analysis(
        massive_values, "Where queries and keys are largest, and what goes with that channel."
    ),
    "sharding": Analysis(
        sharding, "How much each head loses when it sees only its shard of the text."
    ),
    "head_consistency": Analysis(
        head_consistency, "Does a head serve one concept, and do tasks need those that do?"
    ),
    "head_false_induction": Analysis(
        head_false_induction, "Which heads follow wrong examples, and what comes back without them."
    ),
    "feature_emergence": Analysis(
        feature_emergence, "Where and when a concept can be read: every layer of every checkpoint."
    ),
    "fit_codebook": Analysis(
        fit_codebook,
        "A codebook fitted to a site, the model left as it is, beside TopK and PCA.",
        lasting=False,
    ),
    "feature_absorption": Analysis(
        feature_absorption, "Does a feature keep silent where another one stands in for it?"
    ),
    "sparse_probes": Analysis(sparse_probes, "How few features tell each of several concepts."),
    "train_dictionary": Analysis(
        train_dictionary,
        "A sparse dictionary of a site trained on the spot, judged on text it has not seen.",
        lasting=False,
    ),
    "probe_family": Analysis(
        probe_family, "Which linear probe reads a concept at each layer, and where each points."
    ),
    "minimal_pairs": Analysis(
        minimal_pairs,
        "Does the model prefer the right text of a pair, and from which layer on is it read?",
    ),
    "calibration": Analysis(
        calibration, "Can a probe's score be trusted as a probability, and how early is it sure?"
    ),
    "depth_noise": Analysis(
        depth_noise, "How fragile is a depth? The curve on noisy texts and coarser weights."
    ),
    "detect_guide": Analysis(
        detect_guide, "Is the direction that reads a concept best also the one that guides best?"
    ),
    "probe_controls": Analysis(
        probe_controls,
        "Is it the model or the probe? Which texts, bits and dimensions reading takes.",
    ),
    "meaning_control": Analysis(
        meaning_control,
        "Is a meaning in the states or made by the probe? The words given other meanings.",
    ),
    "depth_emergence": Analysis(
        depth_emergence,
        "When in training, at which layer and at what size a concept becomes readable.",
    ),
    "probe_sites": Analysis(
        probe_sites,
        "Which heads and sites carry a concept: a probe at each, beside the best of chance.",
    ),
    "transfer": Analysis(
        transfer, "Is a probe of one labelled set right on others, and at other layers?"
    ),
    "lens_depth": Analysis(
        lens_depth, "Many prompts by the lens: when the answer stands, and what is said before."
    ),
    "unlabelled_probe": Analysis(
        unlabelled_probe, "Does a probe without labels find the concept, or the loudest contrast?"
    ),
    "spectrum": Analysis(
        spectrum, "How many dimensions are in use at each layer, beside a Gaussian cloud."
    ),
    "shared_tokens": Analysis(
        shared_tokens, "Which tokens of two models stand for the same stretch of a text."
    ),
    "compare": Analysis(
        compare, "Two models layer by layer: do they arrange the same texts alike?"
    ),
    "categories": Analysis(
        categories,
        "Are categories vectors, do sub-categories branch off, do siblings form a simplex?",
    ),
    "concept_directions": Analysis(
        concept_directions, "Which contrasts of words are directions, and which go together."
    ),
    "concept_push": Analysis(
        concept_push, "A contrast pushed by so many nats: next tokens, and all other contrasts."
    ),
    "match": Analysis(
        match, "Which neuron, head or feature of another model corresponds to each of this one."
    ),
    "geometry": Analysis(
        geometry,
        "Concepts as vectors at one layer: cosines beside chance, and their items in few axes.",
    ),
    "separability": Analysis(
        separability,
        "At which layer classes come apart, and which attribute of words is drawn largest.",
    ),
    "frames": Analysis(
        frames, "Concepts of words of several tokens as frames, and which words lie near them."
    ),
    "guided_decoding": Analysis(
        guided_decoding, "A text continued by what a concept reads best of the likeliest tokens."
    ),
    "layer_map": Analysis(
        layer_map, "Words of a set in two or three axes at every layer: where do they come apart?"
    ),
    "shift": Analysis(
        shift, "What changed from a model to its tuned one, and does a shift reproduce it?"
    ),
    "topics": Analysis(
        topics, "Do words of one topic lie together, and which heads look from one to another?"
    ),
    "translate": Analysis(
        translate, "A concept's direction carried into another model, and tested there."
    ),
    "flips": Analysis(
        flips, "Where two models disagree most, and which components turn the answer."
    ),
    "reverse_dictionary": Analysis(
        reverse_dictionary,
        "Does a description land on its word, where, and how many examples does it take?",
    ),
    "scale": Analysis(
        scale, "How large the values at a site get on the reference text.", version=2
    ),
    "circle": Analysis(
        circle,
        "Do classes lie on a circle or a line in their order, at which depth, beyond chance?",
    ),
    "relations": Analysis(
        relations,
        "Is a relation one offset? Parallelism, analogies with baselines, what else hides in it.",
    ),
    "parallelogram": Analysis(
        parallelogram,
        "Do two pairs of a relation close to a parallelogram, more than wrong words do?",
    ),
    "circle_patch": Analysis(
        circle_patch,
        "Does a model add on a circle? The circle moved at the name, beside a random plane.",
    ),
    "irreducible": Analysis(
        irreducible,
        "Which clusters of features write a shape that cannot be split, beside random clusters.",
    ),
    "crystals": Analysis(
        crystals,
        "Do offsets of many relations fall together, raw and by discriminants of the other half?",
    ),
    "semantic_hub": Analysis(
        semantic_hub,
        "Do two forms of one meaning come together inside the model, beyond shared words?",
    ),
}


def analysis(name: str) -> Analysis:
    """The analysis of this name. Raises `Error` naming those there are."""
    if name not in ANALYSES:
        raise Error(f"no analysis {name[:40]!r}; there are {', '.join(ANALYSES)}")
    return ANALYSES[name]
