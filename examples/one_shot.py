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
# # One example is enough
#
# Features of a network that has learned other images make a classifier of one labelled example a class. On classes of Caltech 101
# where HUBEL_DATA has it; else: which of the built-in photographs is this piece from?

# %%
import os

import matplotlib.pyplot as plt
import numpy as np

import hubel
from hubel import reuse
from hubel.phenomena import data
from hubel.pixels import as_arrays

SMALL = bool(os.environ.get("HUBEL_EXAMPLES_SMALL"))  # the tests' size
EACH, CLASSES = (6, 3) if SMALL else (20, 10)
folder = data.real("caltech101")
if folder and not SMALL:
    source = hubel.data.load(folder)
    whole = source.train.concat(source.test)
    places = np.concatenate([np.flatnonzero(whole.labels == k)[:EACH] for k in range(10, 10 + CLASSES)])
    images, labels = list(whole.subset(places).arrays(size=224)), np.array(whole.classes)[whole.labels[places]]
else:
    pieces, which = data.patches(60 if SMALL else 200, 96, seed=0, shrink=1, grey=False)
    names = np.array(list(data.photographs()))
    chosen = np.flatnonzero(which.numpy() < CLASSES)
    images, labels = list(as_arrays(pieces)[chosen]), names[which.numpy()[chosen]]
print(f"{len(images)} images of {', '.join(np.unique(labels))}")

# %% [markdown]
# ## One of each, and the rest to try it on

# %%
shown = reuse.fewshot.draw_examples(labels, shots=1, seed=0)
rest = np.setdiff1d(np.arange(len(images)), shown)
classifier = reuse.FewShotClassifier().fit([images[i] for i in shown], labels[shown])
answers = classifier.predict([images[i] for i in rest])
print(f"accuracy from one example a class: {(answers == labels[rest]).mean():.1%} (chance {1 / len(np.unique(labels)):.1%})")

# %%
_, axes = plt.subplots(1, len(shown), figsize=(11, 1.8), layout="constrained")
for cell, i in zip(axes, shown, strict=True):
    cell.imshow(images[i])
    cell.set_title(labels[i], fontsize=8)
    cell.axis("off")
plt.show()

# %% [markdown]
# ## Why: the features separate, the pixels do not

# %%
features = classifier.embed(images)
small = np.stack([hubel.data.decode.fit_image(image, (16, 16), 3) for image in images]).reshape(len(images), -1) / 255
shots = (1, 2) if SMALL else (1, 2, 5)
half = np.arange(len(images)) % 2 == 0
curve = reuse.kshot_curve(labels[half], labels[~half], {"features": (features[half], features[~half]),
                                                        "pixels": (small[half], small[~half])},
                          shots=shots, draws=3 if SMALL else 10)
for name, row in zip(curve.names, curve.mean, strict=True):
    print(f"{name:9}", ", ".join(f"{k:g} a class: {accuracy:.0%}" for k, accuracy in zip(curve.shots, row, strict=True)))
curve.plot()
