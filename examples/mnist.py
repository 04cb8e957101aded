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
# # Handwritten digits
#
# A convolutional network in a few lines; what it gets wrong, what its first layer has learned, what excites its classes, and how
# far training and test accuracy are apart. On MNIST where HUBEL_DATA has it, else on the 1,797 built-in digits.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np

import hubel
from hubel import look
from hubel.phenomena import data

SMALL = bool(os.environ.get("HUBEL_EXAMPLES_SMALL"))  # the tests' size
folder = data.real("mnist")
source = hubel.data.load(folder if folder and not SMALL else "digits", limit=None if folder and not SMALL else 700 if SMALL
                         else None)
size = source.train.sizes[0]
print(source.train, source.test)

# %%
model = hubel.Sequential([
    hubel.Conv2D(filters=16, kernel_size=5 if size[0] > 16 else 3, padding="same", activation="relu",
                 input_shape=(*map(int, size), 1)),
    hubel.MaxPooling2D(),
    hubel.Conv2D(filters=32, kernel_size=3, padding="same", activation="relu"),
    hubel.MaxPooling2D(),
    hubel.Flatten(),
    hubel.Dense(units=64, activation="relu"),
    hubel.Dense(units=10, activation="softmax"),
], seed=0)
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
x, y = source.train.arrays(), source.train.labels
x_test, y_test = source.test.arrays(), source.test.labels
history = model.fit(x, y, epochs=8 if SMALL else 3 if folder else 20, batch_size=64, validation_data=(x_test, y_test),
                    verbose=0)
model.classes = source.train.classes
model.summary()

# %%
print(f"training {history.history['accuracy'][-1]:.1%}, test {history.history['val_accuracy'][-1]:.1%}")
history.plot()

# %% [markdown]
# ## What it gets wrong

# %%
probabilities = model.predict(x_test)
wrong = np.flatnonzero(probabilities.argmax(1) != y_test)[:10]
_, axes = plt.subplots(1, max(len(wrong), 1), figsize=(11, 1.6), layout="constrained", squeeze=False)
for cell, i in zip(axes.ravel(), wrong, strict=False):
    cell.imshow(x_test[i, ..., 0], cmap="gray")
    cell.set_title(f"{y_test[i]} taken for {probabilities[i].argmax()}", fontsize=8)
for cell in axes.ravel():
    cell.axis("off")
plt.show()

# %% [markdown]
# ## What it looks for

# %%
look.filters(model).plot()

# %%
made = look.synthesise(model, data=source.test, steps=32 if SMALL else None)
made.plot()

# %% [markdown]
# Does it overfit? It could learn random labels by heart: `hubel claims random-labels little-overfitting`.
