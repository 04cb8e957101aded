"""Cross-correlation in 1, 2 and 3 dimensions: one definition, several fast ways, a planner that picks.

    u_i = sum_j x_(i+j-1) w_j        (one dimension; likewise in two and three)

The definition is the networks' convolution: no flip. `convolve` is the flipped one of signal processing.
Depends on NumPy, torch, OpenCV (where nothing is compiled: see native/README.md), and on `hubel.errors`.
"""

from hubel.convolve._borders import BORDERS, border
from hubel.convolve._correlate import METHODS, convolve, correlate
from hubel.convolve._depthwise import Depthwise
from hubel.convolve._planner import Plan, calibrate, explain
from hubel.convolve._rank import separate

__all__ = ["BORDERS", "METHODS", "Depthwise", "Plan", "border", "calibrate", "convolve", "correlate", "explain", "separate"]
