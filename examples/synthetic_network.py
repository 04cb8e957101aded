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
# # A network learns its features
#
# Two classes that no straight line separates, and a few sigmoid units. What does each of them learn? The words are Keras'.
# Runs in seconds.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np

from hubel import Dense, Sequential, training
from hubel.phenomena import data

SMALL = bool(os.environ.get("HUBEL_EXAMPLES_SMALL"))  # the tests' size

x, y = (t.numpy() for t in data.ring(600, seed=0))
x_test, y_test = (t.numpy() for t in data.ring(2000, seed=1))

# %%
UNITS = 4
model = Sequential(seed=0)
model.add(Dense(units=UNITS, input_shape=(2,), activation="sigmoid", name="hidden"))
model.add(Dense(units=2, activation="softmax", name="output"))
model.compile(optimizer=training.Adam(0.03), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(x, y, epochs=40 if SMALL else 200, batch_size=50, validation_data=(x_test, y_test), verbose=0)
print(f"accuracy on new points: {history.history['val_accuracy'][-1]:.1%}")

# %%
history.plot()

# %% [markdown]
# ## What each unit answers
#
# One unit is a soft step along one direction. The last layer adds them up.

# %%
axis = np.linspace(-1, 1, 100, dtype=np.float32)
plane = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
hidden = model.features(plane)
answer = model.predict(plane)[:, 1]
_, axes = plt.subplots(1, UNITS + 1, figsize=(2.2 * (UNITS + 1), 2.6), layout="constrained")
for i, (cell, values) in enumerate(zip(axes, [*hidden.T, answer], strict=True)):
    cell.imshow(values.reshape(100, 100), cmap="RdBu_r", extent=(-1, 1, -1, 1), origin="lower")
    cell.set_title("answer" if i == UNITS else f"unit {i + 1}")
    cell.axis("off")
axes[-1].scatter(*x[::4].T, c=y[::4], s=4, cmap="coolwarm", edgecolors="white", linewidths=0.3)
plt.show()

# %% [markdown]
# More units and more layers fit more complex boundaries, up to a limit: `hubel claims hidden-units`.
