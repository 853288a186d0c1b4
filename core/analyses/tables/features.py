"""Sparse dictionaries and their features."""

from core.analyses.add_dictionary import add_dictionary
from core.analyses.blind_spots import blind_spots
from core.analyses.dictionaries import dictionaries
from core.analyses.dictionary_check import dictionary_check
from core.analyses.dictionary_compare import dictionary_compare
from core.analyses.dictionary_report import dictionary_report
from core.analyses.entity_features import entity_features
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
from core.analyses.gallery import gallery
from core.analyses.label_test import label_test
from core.analyses.listed import Analysis
from core.analyses.name_feature import name_feature
from core.analyses.sparse_probes import sparse_probes
from core.analyses.train_dictionary import train_dictionary

ANALYSES: dict[str, Analysis] = {
    "dictionaries": Analysis(dictionaries, "Which sparse dictionaries the model has.", version=2),
    "add_dictionary": Analysis(
        add_dictionary, "Add a dictionary from a path, or read one otherwise.", lasting=False
    ),
    "name_feature": Analysis(name_feature, "Give a feature a label of one's own.", lasting=False),
    "gallery": Analysis(
        gallery, "How often every feature of a dictionary fires in a text, and how strongly."
    ),
    "dictionary_check": Analysis(
        dictionary_check,
        "Is a dictionary read as it was trained? Every convention tried on a text.",
    ),
    "dictionary_report": Analysis(
        dictionary_report, "How good dictionaries are: features a token, FVU, what they cost."
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
    "label_test": Analysis(
        label_test, "How well a typed label says where a feature fires; texts to judge oneself."
    ),
    "sparse_probes": Analysis(sparse_probes, "How few features tell each of several concepts."),
    "train_dictionary": Analysis(
        train_dictionary,
        "A sparse dictionary of a site trained on the spot, judged on text it has not seen.",
        lasting=False,
    ),
    "fit_codebook": Analysis(
        fit_codebook,
        "A codebook fitted to a site, the model left as it is, beside TopK and PCA.",
        lasting=False,
    ),
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
    "feature_label": Analysis(
        feature_label, "What features respond to: rules from one half, scored on the other."
    ),
    "feature_emergence": Analysis(
        feature_emergence, "Where and when a concept can be read: every layer of every checkpoint."
    ),
    "feature_absorption": Analysis(
        feature_absorption, "Does a feature keep silent where another one stands in for it?"
    ),
}
