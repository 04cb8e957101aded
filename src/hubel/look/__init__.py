"""What a network sees: its layers and filters, the inputs that excite its units, and where its decisions come from.

    look.layers(model)                        the layers: shapes, receptive fields, strides
    look.filters(model)                       what the first layer has learned
    look.exciting(model, data, "layer1")      the real inputs that excite a layer's units most
    look.synthesise(model, classes=[3, 8])    inputs made to excite a class or a unit
    look.gradient(model, x)                   which pixels the decision hangs on
    look.gradcam(model, x)                    which places it comes from
"""

from hubel.look.attribution import Attribution
from hubel.look.capture import Taps, activations
from hubel.look.exciting import ExcitingInputs, exciting, top_inputs
from hubel.look.filters import Filters, filters
from hubel.look.gradcam import gradcam
from hubel.look.gradient import gradient
from hubel.look.layers import Layer, Layers, layers
from hubel.look.recipes import RECIPES, Recipe
from hubel.look.synthesise import synthesise
from hubel.look.synthesised import Synthesised

__all__ = [
    "RECIPES", "Attribution", "ExcitingInputs", "Filters", "Layer", "Layers", "Recipe", "Synthesised", "Taps", "activations",
    "exciting", "filters", "gradcam", "gradient", "layers", "synthesise", "top_inputs",
]
