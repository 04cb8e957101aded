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
# # Adversarial lab
#
# A pretrained ImageNet network, a photograph, and a change too small to see that makes the network see something else. Then the
# same in numbers, beside random changes of the same size. No download: the weights come with a package.

# %%
import os

import numpy as np
import torch
import torch.nn.functional as F

import hubel
from hubel import attack
from hubel.phenomena import data

SMALL = bool(os.environ.get("HUBEL_EXAMPLES_SMALL"))  # the tests' size
model = hubel.pretrained()
photographs = data.photographs()
photo = photographs.get("chelsea", photographs["flower"])
x = model.prepare(photo)  # float (1, 3, 224, 224) in 0..1: the pixels an attack may change
for k in np.argsort(-model.predict(x)[0])[:3]:
    print(f"{model.classes[k]:40} {model.predict(x)[0, k]:.1%}")

# %% [markdown]
# ## Five lines
#
# Maximise the loss over perturbations of at most eps: gradient ascent, then back into the box.

# %%
label = torch.tensor(model.logits(x).argmax(1))
eps, delta = 2 / 255, torch.zeros_like(x)
for _ in range(3 if SMALL else 10):
    delta.requires_grad_(True)
    loss = F.cross_entropy(model((x + delta).clamp(0, 1)), label)
    (gradient,) = torch.autograd.grad(loss, delta)
    delta = (delta.detach() + eps / 2 * gradient.sign()).clamp(-eps, eps)
print("now:", model.classes[int(model.logits((x + delta).clamp(0, 1)).argmax())])

# %% [markdown]
# ## Into anything one likes
#
# `demonstrate` looks for the smallest change that does it, in whole 8-bit levels: saved as PNG, it still fools.

# %%
target = next(name for name in model.classes if "goldfish" in name)
turned = attack.demonstrate(model, photo, target=target, steps=10 if SMALL else 60)
print(turned)
turned.plot()

# %% [markdown]
# ## Random changes of the same size do nothing

# %%
images = torch.cat([model.prepare(p) for p in list(photographs.values())[: 2 if SMALL else None]])
labels = model.logits(images).argmax(1)  # what it says of them clean
curve = attack.robustness_curve(model, images, labels, ["1/255", "2/255", "4/255"], steps=3 if SMALL else 10, progress=False)
print(curve)
curve.plot()

# %% [markdown]
# Which architectures are immune? None here: `hubel claims universal`. What helps, and what it costs: `hubel claims hardening`.
