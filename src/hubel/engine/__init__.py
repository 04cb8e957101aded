"""How a network runs fast here: memory layout, precision, folding, and gradients with respect to inputs alone."""

from hubel.engine.autocast import autocast
from hubel.engine.ceiling import Ceiling, ceiling
from hubel.engine.choices import cache_folder
from hubel.engine.frozen import TEST_BATCH as frozen_test_batch
from hubel.engine.frozen import Frozen, evaluation, frozen
from hubel.engine.layout import lay_out
from hubel.engine.memory import keep_memory
from hubel.engine.precision import cpu_has_bf16
from hubel.engine.settings import Settings, settings, using

__all__ = [
    "Ceiling", "Frozen", "Settings", "autocast", "cache_folder", "ceiling", "cpu_has_bf16", "evaluation",
    "frozen", "frozen_test_batch", "keep_memory", "lay_out", "settings", "using",
]
