"""How a network learns: losses, optimisers, schedules, augmentation, the loop, checkpoints and resuming.

    history = fit(network, (x, y), epochs=5, validation=(xv, yv), augment="photo", checkpoint="run.safetensors")

Works on any `nn.Module` that gives logits, and on uint8 or float tensors; `hubel.Model` calls it.
"""

from hubel.training import augment, optimizers
from hubel.training.augment import default_augmentation
from hubel.training.averaging import Ema, Lookahead
from hubel.training.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
    TerminateOnNaN,
)
from hubel.training.evaluation import evaluate
from hubel.training.fitting import fit
from hubel.training.hardening import Harden
from hubel.training.history import History
from hubel.training.optimizers import SGD, Adam, AdamW, Muon, RMSprop
from hubel.training.rates import RateSearch, lr_find
from hubel.training.source import ArraySource, Batch, BatchSource, DatasetSource
from hubel.training.tensorboard import TensorBoard
from hubel.training.tuning import fine_tune

__all__ = [
    "SGD", "Adam", "AdamW", "ArraySource", "Batch", "BatchSource", "CSVLogger", "Callback", "DatasetSource",
    "EarlyStopping", "Ema", "Harden", "History", "LambdaCallback", "LearningRateScheduler", "Lookahead", "ModelCheckpoint", "Muon",
    "RMSprop", "RateSearch", "ReduceLROnPlateau", "TensorBoard", "TerminateOnNaN", "augment", "default_augmentation",
    "evaluate", "fine_tune", "fit", "lr_find", "optimizers",
]
