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
# # Autoencoders
#
# Without labels: give the image back through a bottleneck. What passes it must be what matters. Three uses: reconstruction,
# taking noise away, and finding what does not belong. On MNIST where HUBEL_DATA has it, else on the built-in digits.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np

import hubel
from hubel import autoencode
from hubel.phenomena import data

SMALL = bool(os.environ.get("HUBEL_EXAMPLES_SMALL"))  # the tests' size
folder = data.real("mnist")
source = hubel.data.load(folder if folder and not SMALL else "digits", limit=12_000 if folder and not SMALL else None)
x, x_test = source.train.arrays(), source.test.arrays()
side = x.shape[1]
LATENTS = 16 if side > 16 else 8

# %%
coder = autoencode.build("convolutional", size=side, channels=1, latents=LATENTS, width=16, seed=0)
print(coder.bottleneck)
coder.fit(x, epochs=5 if SMALL else 10 if folder else 60, verbose=0)
codes = coder.encode(x_test)
print(f"{side * side} pixels as {codes.shape[1]} numbers: mean squared error {coder.error(x_test).mean():.4f}")


def show(rows):
    """Rows of eight images, each with its name."""
    _, axes = plt.subplots(len(rows), 8, figsize=(10, 1.35 * len(rows)), layout="constrained")
    for line, (name, images) in zip(axes, rows.items(), strict=True):
        for cell, image in zip(line, images, strict=False):
            cell.imshow(np.squeeze(image), cmap="gray")
            cell.axis("off")
        line[0].set_title(name, loc="left", fontsize=10)
    plt.show()


show({"images": x_test, "through the bottleneck": coder.reconstruct(x_test[:8])})

# %% [markdown]
# ## Between two digits
#
# The code is a space: halfway between two codes lies an image, too.

# %%
ends = codes[:2]
steps = np.linspace(0, 1, 8)[:, None]
between = (1 - steps) * ends[0] + steps * ends[1]
show({"between their codes": coder.decode(between), "between their pixels": (1 - steps[..., None, None]) * x_test[0]
      + steps[..., None, None] * x_test[1]})

# %% [markdown]
# ## Taking noise away

# %%
denoiser = autoencode.build("convolutional", size=side, channels=1, latents=4 * LATENTS, width=16, seed=0)
denoiser.fit(x, noise=0.25, epochs=5 if SMALL else 10 if folder else 60, verbose=0)
rng = np.random.default_rng(0)
noisy = np.clip(x_test[:300] / 255 + 0.25 * rng.standard_normal(x_test[:300].shape), 0, 1).astype(np.float32)
clean = denoiser.reconstruct(noisy)
before, after = (np.mean((image.astype(float) - x_test[:300] / 255) ** 2) for image in (noisy, clean / 255))
print(f"mean squared error {before:.4f} with static, {after:.4f} denoised")
show({"with static": noisy, "denoised": clean, "as it was": x_test})

# %% [markdown]
# ## What does not belong
#
# What the autoencoder never learned does not pass the bottleneck: its error tells digits from digits with shuffled pixels.

# %%
strange = rng.permuted(x_test.reshape(len(x_test), -1), axis=1).reshape(x_test.shape)
threshold = np.quantile(coder.error(x_test), 0.95)
print(f"of shuffled digits {np.mean(coder.error(strange) > threshold):.1%} have an error that 5% of digits have")

# %% [markdown]
# Would it have learned this without a bottleneck? `hubel claims bottleneck`.
