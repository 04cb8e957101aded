# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Convolutions by hand
#
# A filter slides over an image; each output is the sum of products under it. Depending on its weights it smooths, finds a
# pattern, or finds edges. Then the lecture's hierarchy: edges, long vertical lines in them, the mean. Runs in seconds.

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy.signal import correlate2d

import hubel
from hubel import features, kernels
from hubel.phenomena import data

photographs = data.photographs()  # scikit-learn's, and scikit-image's where it is installed
photo = photographs["china"]


def show(titles, images, width=10, **options):
    """Images side by side."""
    _, axes = plt.subplots(1, len(images), figsize=(width, 0.75 * width / len(images) + 0.4), layout="constrained")
    for cell, title, image in zip(np.atleast_1d(axes), titles, images, strict=True):
        cell.imshow(image, **{"cmap": "gray", **options})
        cell.set_title(title)
        cell.axis("off")
    plt.show()


# %% [markdown]
# ## The definition
#
# `correlate` is the networks' convolution: no flip. `padding="valid"` gives d - k + 1, `"same"` pads with zeros.

# %%
x = np.array([[3, 3, 2, 1, 0], [0, 0, 1, 3, 1], [3, 1, 2, 2, 3], [2, 0, 0, 2, 2], [2, 0, 0, 0, 1]], dtype=float)
w = np.array([[0, 1, 2], [2, 2, 0], [0, 1, 2]], dtype=float)
u = hubel.convolve.correlate(x, w, "valid")
print(u)
assert np.allclose(u, correlate2d(x, w, "valid"))

# %% [markdown]
# ## Smoothing
#
# A larger filter smooths more. Static is what varies from pixel to pixel, so an average over neighbours takes it away.

# %%
rng = np.random.default_rng(0)
noisy = np.clip(photo / 255 + 0.2 * rng.standard_normal(photo.shape), 0, 1)
show(["with static", "uniform 5x5", "Gaussian, sigma 1.5", "Gaussian, sigma 4"],
     [noisy, features.smooth(noisy, kind="uniform", size=5), features.smooth(noisy, 1.5), features.smooth(noisy, 4)])

# %%
kernels.gaussian(1.5).plot()

# %% [markdown]
# ## Pattern matching
#
# The output is highest where the pattern lies. A piece of the picture finds its own place, under static too.

# %%
top, left = 150, 300
pattern = photo[top : top + 40, left : left + 40]
found = features.match(pattern, (noisy * 255).astype(np.uint8))
print(found.found[0])
assert abs(found.found[0].box[0] - left) <= 1 and abs(found.found[0].box[1] - top) <= 1
found.plot()

# %% [markdown]
# ## Edges, at any angle

# %%
grey = photo.mean(2) / 255
show(["vertical edges", "at 45°", "horizontal"], [np.abs(features.edges(grey, angle)) for angle in (90, 45, 0)],
     cmap="magma")

# %%
kernels.edge_bank(8).plot()

# %% [markdown]
# ## Edges, then vertical lines, then the mean
#
# Is the image with the highest vertical edge response a building? And after a second filter that looks for long vertical lines in
# the edges? `hubel claims vertical-edges` asks it of 600 photographs.

# %%
names = [name for name in ("china", "flower", "grass", "chelsea", "coffee") if name in photographs]
numbers = features.EdgeHierarchy(angles=(90,), lengths=(25,), log=False).fit_transform([photographs[name] for name in names])
for name, (edges, lines) in sorted(zip(names, numbers, strict=True), key=lambda row: -row[1][0]):
    print(f"{name:10} edges {edges:.4f}   vertical lines {lines:.4f}")
