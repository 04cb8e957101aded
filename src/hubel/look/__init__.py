"""What a network sees: its layers and filters, the inputs that excite its units, and where its decisions come from.

    look.layers(model)                        the layers: shapes, receptive fields, strides
    look.traced(model)                        the same, with functional operations as layers too
    look.filters(model)                       what the first layer has learned
    look.WatchFilters()                       a callback that keeps how filters change while training
    look.exciting(model, data, "layer1")      the real inputs that excite a layer's units most
    look.separating(model, data, "cat", "dog")   the units that tell two classes apart best
    look.synthesise(model, classes=[3, 8])    inputs made to excite a class or a unit
    look.gradient(model, x)                   which pixels the decision hangs on
    look.gradcam(model, x)                    which places it comes from
    look.smoothgrad, integrated_gradients, gradcam_plus, occlusion, rise: further ways to ask, each with its checks
    look.randomisation, insertion_deletion    does an attribution tell about this model and this decision?
    look.depth(model, data)                   how far each layer's features separate the classes
"""

from hubel.look.attribution import Attribution
from hubel.look.capture import Taps, activations
from hubel.look.checks import Curves, insertion_deletion, randomisation
from hubel.look.depth import Depth, depth
from hubel.look.exciting import ExcitingInputs, exciting, top_inputs
from hubel.look.filters import Filters, filters
from hubel.look.gradcam import gradcam, gradcam_plus
from hubel.look.gradient import gradient
from hubel.look.integrated import integrated_gradients
from hubel.look.layers import Layer, Layers, layers
from hubel.look.occlusion import occlusion, rise
from hubel.look.recipes import RECIPES, Recipe
from hubel.look.separating import Separating, separating
from hubel.look.smoothgrad import smoothgrad
from hubel.look.synthesise import synthesise
from hubel.look.synthesised import Synthesised
from hubel.look.traced import traced
from hubel.look.watching import FilterHistory, WatchFilters

__all__ = [
    "RECIPES", "Attribution", "Curves", "Depth", "ExcitingInputs", "FilterHistory", "Filters", "Layer", "Layers", "Recipe",
    "Separating", "Synthesised", "Taps", "WatchFilters", "activations", "depth", "exciting", "filters", "gradcam", "gradcam_plus",
    "gradient", "insertion_deletion", "integrated_gradients", "layers", "occlusion", "randomisation", "rise", "separating",
    "smoothgrad", "synthesise", "top_inputs", "traced",
]
