"""How a network runs fast here: memory layout, precision, folding, and gradients with respect to inputs alone."""

from hubel.engine.frozen import Frozen, evaluation, frozen
from hubel.engine.memory import keep_memory
from hubel.engine.precision import cpu_has_bf16
from hubel.engine.settings import Settings, settings, using

__all__ = ["Frozen", "Settings", "cpu_has_bf16", "evaluation", "frozen", "keep_memory", "settings", "using"]
