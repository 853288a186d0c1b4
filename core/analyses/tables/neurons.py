"""Neurons and groups of them: what they write, read, fire on and cause."""

from core.analyses.concept_neuron import concept_neuron
from core.analyses.core_neurons import core_neurons
from core.analyses.domain_neurons import domain_neurons
from core.analyses.explain_test import explain_test
from core.analyses.listed import Analysis
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
from core.analyses.shared_neurons import shared_neurons
from core.analyses.task_spot import task_spot

ANALYSES: dict[str, Analysis] = {
    "explain_test": Analysis(
        explain_test, "A claim about a neuron: what it fires on, what it causes."
    ),
    "concept_neuron": Analysis(
        concept_neuron, "The neuron that writes a concept, found and tested with noise."
    ),
    "task_spot": Analysis(task_spot, "The few neurons one kind of text needs, found and ablated."),
    "shared_neurons": Analysis(
        shared_neurons, "Neurons that kinds of text, or two models, have in common."
    ),
    "core_neurons": Analysis(core_neurons, "The few neurons a text keeps using."),
    "domain_neurons": Analysis(
        domain_neurons, "Neurons that fire on one kind of text and hardly on others."
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
}
