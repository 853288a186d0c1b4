"""Every kind of answer, by the name of its analysis. One line each."""

from core.results.add_dictionary import AddDictionary
from core.results.attention import AttentionResult
from core.results.base import Result
from core.results.blind_spots import BlindSpots
from core.results.calibration import Calibration
from core.results.card import CardResult
from core.results.categories import Categories
from core.results.circle import Circle
from core.results.circle_patch import CirclePatch
from core.results.compare import Compare
from core.results.concept_directions import ConceptDirections
from core.results.concept_neuron import ConceptNeuron
from core.results.concept_push import ConceptPush
from core.results.core_neurons import CoreNeurons
from core.results.crystals import Crystals
from core.results.depth import Depth
from core.results.depth_emergence import DepthEmergence
from core.results.depth_noise import DepthNoise
from core.results.detect_guide import DetectGuide
from core.results.dictionaries import Dictionaries
from core.results.dictionary_check import DictionaryCheck
from core.results.dictionary_compare import DictionaryCompare
from core.results.dictionary_report import DictionaryReport
from core.results.difference import Difference
from core.results.direction import DirectionResult
from core.results.domain_neurons import DomainNeurons
from core.results.dose import DoseResult
from core.results.edited import EditedResult
from core.results.entity_features import EntityFeatures
from core.results.erase import EraseResult
from core.results.explain_test import ExplainTest
from core.results.feature_absorption import FeatureAbsorption
from core.results.feature_attribution import FeatureAttribution
from core.results.feature_card import FeatureCard
from core.results.feature_concept import FeatureConcept
from core.results.feature_effect import FeatureEffect
from core.results.feature_emergence import FeatureEmergence
from core.results.feature_fires import FeatureFires
from core.results.feature_geometry import FeatureGeometry
from core.results.feature_label import FeatureLabel
from core.results.feature_lens import FeatureLens
from core.results.feature_list import FeatureList
from core.results.feature_map import FeatureMap
from core.results.feature_neighbours import FeatureNeighbours
from core.results.feature_texts import FeatureTexts
from core.results.fit_codebook import FitCodebook
from core.results.flips import Flips
from core.results.frames import Frames
from core.results.gallery import Gallery
from core.results.geometry import Geometry
from core.results.graph_tracing import GraphTracing
from core.results.guide import GuideResult
from core.results.guided_decoding import GuidedDecoding
from core.results.head_compare import HeadCompare
from core.results.head_composition import HeadComposition
from core.results.head_consistency import HeadConsistency
from core.results.head_contexts import HeadContexts
from core.results.head_effect import HeadEffect
from core.results.head_false_induction import HeadFalseInduction
from core.results.head_importance import HeadImportance
from core.results.head_overlap import HeadOverlap
from core.results.head_ovqk import HeadOvqk
from core.results.head_patterns import HeadPatterns
from core.results.head_ranking import HeadRanking
from core.results.head_scores import HeadScores
from core.results.head_sources import HeadSources
from core.results.head_successor import HeadSuccessor
from core.results.head_types import HeadTypes
from core.results.heads import Heads
from core.results.irreducible import Irreducible
from core.results.label_test import LabelTest
from core.results.layer_map import LayerMap
from core.results.lens import LensResult
from core.results.lens_depth import LensDepth
from core.results.local_map import LocalMap
from core.results.massive_values import MassiveValues
from core.results.match import Match
from core.results.meaning_control import MeaningControl
from core.results.minimal_pairs import MinimalPairs
from core.results.name_feature import NameFeature
from core.results.neuron_activity import NeuronActivity
from core.results.neuron_card import NeuronCard
from core.results.neuron_classes import NeuronClasses
from core.results.neuron_examples import NeuronExamples
from core.results.neuron_fires import NeuronFires
from core.results.neuron_map import NeuronMap
from core.results.neuron_match import NeuronMatch
from core.results.neuron_plane import NeuronPlane
from core.results.neuron_search import NeuronSearch
from core.results.neuron_texts import NeuronTexts
from core.results.neuron_tokens import NeuronTokens
from core.results.next_tokens import NextTokens
from core.results.parallelogram import Parallelogram
from core.results.probe_controls import ProbeControls
from core.results.probe_family import ProbeFamily
from core.results.probe_sites import ProbeSites
from core.results.relations import RelationOffsets
from core.results.remove import RemoveResult
from core.results.retrieval import Retrieval
from core.results.reverse_dictionary import ReverseDictionary
from core.results.scale import ScaleResult
from core.results.semantic_hub import SemanticHub
from core.results.separability import Separability
from core.results.sharding import Sharding
from core.results.shared_neurons import SharedNeurons
from core.results.shared_tokens import SharedTokens
from core.results.shift import Shift
from core.results.sparse_probes import SparseProbes
from core.results.spectrum import Spectrum
from core.results.steer import SteerResult
from core.results.task_spot import TaskSpot
from core.results.token_neurons import TokenNeurons
from core.results.topics import Topics
from core.results.train_dictionary import TrainDictionary
from core.results.training import Training
from core.results.trajectories import Trajectories
from core.results.transfer import Transfer
from core.results.translate import Translate
from core.results.unit_effect import UnitEffect
from core.results.unit_values import UnitValues
from core.results.unlabelled_probe import UnlabelledProbe
from core.spec.errors import Error

RESULTS: dict[str, type[Result]] = {
    "add_dictionary": AddDictionary,
    "attention": AttentionResult,
    "card": CardResult,
    "compare": Compare,
    "concept_neuron": ConceptNeuron,
    "core_neurons": CoreNeurons,
    "concept_directions": ConceptDirections,
    "concept_push": ConceptPush,
    "frames": Frames,
    "guided_decoding": GuidedDecoding,
    "dictionary_check": DictionaryCheck,
    "blind_spots": BlindSpots,
    "reverse_dictionary": ReverseDictionary,
    "topics": Topics,
    "separability": Separability,
    "categories": Categories,
    "dictionary_compare": DictionaryCompare,
    "entity_features": EntityFeatures,
    "dictionary_report": DictionaryReport,
    "depth": Depth,
    "difference": Difference,
    "direction": DirectionResult,
    "domain_neurons": DomainNeurons,
    "dose": DoseResult,
    "edited": EditedResult,
    "erase": EraseResult,
    "explain_test": ExplainTest,
    "feature_card": FeatureCard,
    "feature_concept": FeatureConcept,
    "feature_absorption": FeatureAbsorption,
    "feature_emergence": FeatureEmergence,
    "shared_tokens": SharedTokens,
    "shift": Shift,
    "sparse_probes": SparseProbes,
    "spectrum": Spectrum,
    "fit_codebook": FitCodebook,
    "feature_fires": FeatureFires,
    "feature_label": FeatureLabel,
    "feature_neighbours": FeatureNeighbours,
    "flips": Flips,
    "gallery": Gallery,
    "geometry": Geometry,
    "layer_map": LayerMap,
    "feature_list": FeatureList,
    "feature_attribution": FeatureAttribution,
    "feature_geometry": FeatureGeometry,
    "feature_effect": FeatureEffect,
    "feature_lens": FeatureLens,
    "feature_map": FeatureMap,
    "feature_texts": FeatureTexts,
    "guide": GuideResult,
    "head_compare": HeadCompare,
    "head_composition": HeadComposition,
    "head_contexts": HeadContexts,
    "head_effect": HeadEffect,
    "head_false_induction": HeadFalseInduction,
    "head_importance": HeadImportance,
    "head_ovqk": HeadOvqk,
    "head_ranking": HeadRanking,
    "head_scores": HeadScores,
    "head_successor": HeadSuccessor,
    "head_types": HeadTypes,
    "head_sources": HeadSources,
    "head_patterns": HeadPatterns,
    "heads": Heads,
    "label_test": LabelTest,
    "lens": LensResult,
    "name_feature": NameFeature,
    "neuron_classes": NeuronClasses,
    "neuron_tokens": NeuronTokens,
    "neuron_map": NeuronMap,
    "neuron_card": NeuronCard,
    "neuron_search": NeuronSearch,
    "neuron_match": NeuronMatch,
    "neuron_activity": NeuronActivity,
    "neuron_examples": NeuronExamples,
    "neuron_fires": NeuronFires,
    "neuron_plane": NeuronPlane,
    "neuron_texts": NeuronTexts,
    "next_tokens": NextTokens,
    "lens_depth": LensDepth,
    "unlabelled_probe": UnlabelledProbe,
    "probe_family": ProbeFamily,
    "calibration": Calibration,
    "depth_noise": DepthNoise,
    "detect_guide": DetectGuide,
    "probe_controls": ProbeControls,
    "probe_sites": ProbeSites,
    "depth_emergence": DepthEmergence,
    "meaning_control": MeaningControl,
    "minimal_pairs": MinimalPairs,
    "transfer": Transfer,
    "translate": Translate,
    "remove": RemoveResult,
    "retrieval": Retrieval,
    "head_overlap": HeadOverlap,
    "dictionaries": Dictionaries,
    "graph_tracing": GraphTracing,
    "training": Training,
    "trajectories": Trajectories,
    "local_map": LocalMap,
    "match": Match,
    "massive_values": MassiveValues,
    "sharding": Sharding,
    "head_consistency": HeadConsistency,
    "scale": ScaleResult,
    "shared_neurons": SharedNeurons,
    "steer": SteerResult,
    "task_spot": TaskSpot,
    "token_neurons": TokenNeurons,
    "train_dictionary": TrainDictionary,
    "unit_effect": UnitEffect,
    "unit_values": UnitValues,
    "circle": Circle,
    "relations": RelationOffsets,
    "parallelogram": Parallelogram,
    "circle_patch": CirclePatch,
    "irreducible": Irreducible,
    "crystals": Crystals,
    "semantic_hub": SemanticHub,
}


def result_class(name: str) -> type[Result]:
    """The class of the answers of this analysis. Raises `Error` for a name unknown here."""
    try:
        return RESULTS[name]
    except KeyError:
        raise Error(f"no answers of kind {name[:40]!r}; known are {', '.join(RESULTS)}") from None
