"""Networks: layers in the field's words, architectures by name, and a pretrained backbone. Plain `nn.Module`s throughout."""

from hubel.nets.as_dense import as_dense
from hubel.nets.describe import describe, from_description
from hubel.nets.efficientnet import EfficientNetLite
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
    GlobalMaxPooling,
    Layer,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
)
from hubel.nets.registry import ARCHITECTURES, build, default, pretrained, rebuild, register
from hubel.nets.resnet import ResidualBlock, SmallResNet

__all__ = [
    "ARCHITECTURES", "Activation", "AveragePooling1D", "AveragePooling2D", "AveragePooling3D", "BatchNormalization",
    "Conv1D", "Conv2D", "Conv3D", "Dense", "Dropout", "EfficientNetLite", "Flatten", "GlobalAveragePooling",
    "GlobalMaxPooling", "Layer", "MaxPooling1D", "MaxPooling2D", "MaxPooling3D", "ResidualBlock", "SmallResNet", "as_dense",
    "build",
    "default", "describe", "from_description", "pretrained", "rebuild", "register",
]
