"""Networks: layers in the field's words, architectures by name, and a pretrained backbone. Plain `nn.Module`s throughout."""

from hubel.nets.as_dense import as_dense
from hubel.nets.autoencoder import EncoderDecoder
from hubel.nets.describe import describe, from_description
from hubel.nets.efficientnet import EfficientNetLite
from hubel.nets.embedding import Embedding, Lean
from hubel.nets.layers import (
    Activation,
    AveragePooling1D,
    AveragePooling2D,
    AveragePooling3D,
    BatchNormalization,
    Conv1D,
    Conv2D,
    Conv3D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAveragePooling3D,
    GlobalMaxPooling,
    Layer,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
)
from hubel.nets.log_mel import log_mel
from hubel.nets.registry import ARCHITECTURES, PRETRAINED, build, default, pretrained, rebuild, register
from hubel.nets.residual import Residual
from hubel.nets.resnet import ResidualBlock, SmallResNet
from hubel.nets.u_shaped import UShaped
from hubel.nets.upward import Reshape, SubPixel2D, UpSampling2D

__all__ = [
    "ARCHITECTURES", "PRETRAINED", "Activation", "AveragePooling1D", "AveragePooling2D", "AveragePooling3D",
    "BatchNormalization", "Conv1D", "Conv2D", "Conv3D", "Dense", "Dropout", "EfficientNetLite", "Embedding", "EncoderDecoder",
    "Flatten",
    "GlobalAveragePooling", "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D", "GlobalMaxPooling",
    "Layer", "Lean", "MaxPooling1D", "MaxPooling2D", "MaxPooling3D", "Reshape", "Residual", "ResidualBlock", "SmallResNet",
    "SubPixel2D", "UShaped", "UpSampling2D", "as_dense",
    "build", "default", "describe", "from_description", "log_mel", "pretrained", "rebuild", "register",
]
