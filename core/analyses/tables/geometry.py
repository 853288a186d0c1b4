"""Where concepts lie: maps, directions, categories, circles, relations, dimensions."""

from core.analyses.categories import categories
from core.analyses.circle import circle
from core.analyses.circle_patch import circle_patch
from core.analyses.concept_directions import concept_directions
from core.analyses.concept_push import concept_push
from core.analyses.crystals import crystals
from core.analyses.frames import frames
from core.analyses.geometry import geometry
from core.analyses.graph_tracing import graph_tracing
from core.analyses.guided_decoding import guided_decoding
from core.analyses.irreducible import irreducible
from core.analyses.layer_map import layer_map
from core.analyses.listed import Analysis
from core.analyses.local_map import local_map
from core.analyses.parallelogram import parallelogram
from core.analyses.relations import relations
from core.analyses.reverse_dictionary import reverse_dictionary
from core.analyses.semantic_hub import semantic_hub
from core.analyses.separability import separability
from core.analyses.spectrum import spectrum
from core.analyses.topics import topics
from core.analyses.trajectories import trajectories

ANALYSES: dict[str, Analysis] = {
    "geometry": Analysis(
        geometry,
        "Concepts as vectors at one layer: cosines beside chance, and their items in few axes.",
    ),
    "layer_map": Analysis(
        layer_map, "Words of a set in two or three axes at every layer: where do they come apart?"
    ),
    "concept_directions": Analysis(
        concept_directions, "Which contrasts of words are directions, and which go together."
    ),
    "concept_push": Analysis(
        concept_push, "A contrast pushed by so many nats: next tokens, and all other contrasts."
    ),
    "categories": Analysis(
        categories,
        "Are categories vectors, do sub-categories branch off, do siblings form a simplex?",
    ),
    "separability": Analysis(
        separability,
        "At which layer classes come apart, and which attribute of words is drawn largest.",
    ),
    "circle": Analysis(
        circle,
        "Do classes lie on a circle or a line in their order, at which depth, beyond chance?",
    ),
    "circle_patch": Analysis(
        circle_patch,
        "Does a model add on a circle? The circle moved at the name, beside a random plane.",
    ),
    "irreducible": Analysis(
        irreducible,
        "Which clusters of features write a shape that cannot be split, beside random clusters.",
    ),
    "relations": Analysis(
        relations,
        "Is a relation one offset? Parallelism, analogies with baselines, what else hides in it.",
    ),
    "parallelogram": Analysis(
        parallelogram,
        "Do two pairs of a relation close to a parallelogram, more than wrong words do?",
    ),
    "crystals": Analysis(
        crystals,
        "Do offsets of many relations fall together, raw and by discriminants of the other half?",
    ),
    "semantic_hub": Analysis(
        semantic_hub,
        "Do two forms of one meaning come together inside the model, beyond shared words?",
    ),
    "topics": Analysis(
        topics, "Do words of one topic lie together, and which heads look from one to another?"
    ),
    "reverse_dictionary": Analysis(
        reverse_dictionary,
        "Does a description land on its word, where, and how many examples does it take?",
    ),
    "frames": Analysis(
        frames, "Concepts of words of several tokens as frames, and which words lie near them."
    ),
    "guided_decoding": Analysis(
        guided_decoding, "A text continued by what a concept reads best of the likeliest tokens."
    ),
    "spectrum": Analysis(
        spectrum, "How many dimensions are in use at each layer, beside a Gaussian cloud."
    ),
    "local_map": Analysis(
        local_map, "Which tokens contribute how much of an answer, exactly: the local linear map."
    ),
    "graph_tracing": Analysis(
        graph_tracing, "Does a walk on a graph re-arrange its words? Beside averaging and chance."
    ),
    "trajectories": Analysis(
        trajectories,
        "How tokens travel through the layers: steps, turns, who moves them, where to.",
    ),
}
