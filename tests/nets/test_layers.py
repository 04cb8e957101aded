"""Layers in Keras' words: what they compute, in one to three dimensions, mixed with plain modules, saved and made again."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hubel import Sequential, nets
from hubel.errors import InputError, ModelError
from hubel.model.summary import summarise
from hubel.nets import build, describe, from_description


def built(layer, shape):
    layer.build(shape)
    layer.built_for = shape
    return layer


def test_batch_norm_is_the_formula_with_gamma_and_c():
    for shape in ((5,), (5, 7), (5, 4, 3), (5, 2, 3, 2)):
        layer = built(nets.BatchNormalization(momentum=0.75, epsilon=1e-2), shape).train()
        layer.gamma.data.uniform_(0.5, 2)
        layer.c.data.normal_()
        x = torch.randn(8, *shape)
        axes = (0, *range(2, x.ndim))
        mean, variance = x.mean(axes, keepdim=True), x.var(axes, correction=0, keepdim=True)
        view = (1, 5) + (1,) * (x.ndim - 2)
        want = layer.gamma.view(view) * (x - mean) / (variance + 1e-2).sqrt() + layer.c.view(view)
        torch.testing.assert_close(layer(x), want, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(layer.norm.running_mean, 0.25 * mean.flatten())
        assert layer.gamma.requires_grad and layer.c.requires_grad


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_pooling_down_samples_by_maxima_and_means(dims):
    x = torch.randn(2, 3, *(9, 8, 7)[:dims])
    for layer, take in ((getattr(nets, f"MaxPooling{dims}D")(2), torch.amax), (getattr(nets, f"AveragePooling{dims}D")(2), torch.mean)):
        want = x
        for axis in range(2, 2 + dims):
            want = take(want.unfold(axis, 2, 2), dim=-1)
        torch.testing.assert_close(layer(x), want)
    assert getattr(nets, f"MaxPooling{dims}D")(2, padding="same")(x).shape[2:] == tuple(-(-n // 2) for n in x.shape[2:])
    torch.testing.assert_close(getattr(nets, f"GlobalAveragePooling{dims}D")()(x), x.flatten(2).mean(2))
    torch.testing.assert_close(nets.GlobalMaxPooling()(x), x.flatten(2).amax(2))


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize(("padding", "strides"), [("valid", 1), ("same", 1), ("valid", 2), ("same", 2)])
def test_convolutions_have_keras_sizes(dims, padding, strides):
    conv = built(getattr(nets, f"Conv{dims}D")(6, 3, strides, padding, "relu", groups=2), (4, *(9, 8, 7)[:dims]))
    y = conv(torch.randn(2, 4, *(9, 8, 7)[:dims]))
    sizes = [(-(-n // strides) if padding == "same" else (n - 3) // strides + 1) for n in (9, 8, 7)[:dims]]
    assert list(y.shape) == [2, 6, *sizes] and y.min() >= 0


def test_dropout_zeroes_its_share_while_training_alone():
    layer, x = nets.Dropout(0.3), torch.ones(100_000)
    y = layer.train()(x)
    assert (y == 0).float().mean().item() == pytest.approx(0.3, abs=0.01)
    torch.testing.assert_close(y[y > 0].unique(), torch.tensor([1 / 0.7]))
    assert torch.equal(layer.eval()(x), x)


@pytest.mark.parametrize(("shape", "strides"), [((4, 20), 1), ((3, 9, 8), 1), ((4, 9, 8), 2), ((4, 5, 6, 4), 2)])
def test_a_residual_block_starts_as_its_shortcut_and_learns(shape, strides):
    block = built(nets.Residual(4, strides=strides), shape).train()
    x = torch.randn(6, *shape)
    torch.testing.assert_close(block(x), torch.relu(block.shortcut(x)))
    assert isinstance(block.shortcut, nn.Identity) == (shape[0] == 4 and strides == 1)
    nn.init.ones_(block.norm2.weight)
    block.eval()
    inner = block.norm2(block.conv2(torch.relu(block.norm1(block.conv1(x)))))
    torch.testing.assert_close(block(x), torch.relu(inner + block.shortcut(x)))


def test_every_layer_is_saved_and_made_again_in_a_mixed_chain():
    model = Sequential([
        nets.Conv2D(8, 3, input_shape=(12, 12, 3)), nn.Mish(), nets.Activation("elu"), nn.LazyConv2d(6, 1), nn.Dropout2d(0.1),
        nets.Residual(6), nets.AveragePooling2D(2), nets.BatchNormalization(), nn.ELU(), nn.AdaptiveAvgPool2d(3), nets.Flatten(),
        nn.LazyLinear(7), nn.LayerNorm(7), nets.Dropout(0.2), nets.Dense(3),
    ], seed=0)  # fmt: skip
    model.build()
    again = from_description(describe(model.network))
    again.load_state_dict(model.network.state_dict())
    x = torch.randn(2, 3, 12, 12)
    torch.testing.assert_close(again.eval()(x), model.network.eval()(x))


@pytest.mark.parametrize(("name", "channels", "size", "multiply_adds"), [
    ("resnet18", 3, (224, 224), 1_814_073_344),  # 1.8 G: He et al. 2016, table 1
    ("alexnet", 3, (227, 227), None), ("efficientnet_lite2", 3, (260, 260), None), ("cifar_resnet", 3, (32, 32), None),
    ("waveform", 1, (8000,), None),
])  # fmt: skip
def test_multiply_adds_are_half_of_what_torch_counts(name, channels, size, multiply_adds):
    network = build(name, 1000, channels).eval()
    x = torch.zeros(1, channels, *size)
    summary = summarise(network, x)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(x)
    assert 2 * summary.multiply_adds == counter.get_total_flops()
    assert multiply_adds in (None, summary.multiply_adds)
    assert summary.parameters == sum(p.numel() for p in network.parameters()) == sum(r.parameters for r in summary.rows)


def test_hand_counts_in_one_and_three_dimensions():
    rows = summarise(nn.Conv1d(2, 3, 5, stride=2), torch.zeros(1, 2, 21)).rows
    assert (rows[0].shape, rows[0].weights, rows[0].dense_weights) == ((3, 9), 30, 2 * 21 * 3 * 9)
    assert rows[0].multiply_adds == 30 * 9
    rows = summarise(nn.Conv3d(4, 4, 3, groups=2), torch.zeros(1, 4, 5, 6, 7)).rows
    assert (rows[0].shape, rows[0].weights) == ((4, 3, 4, 5), 4 * 2 * 27)
    assert rows[0].multiply_adds == 4 * 2 * 27 * 60 and rows[0].dense_weights == 4 * 210 * 4 * 60


def test_what_does_not_fit_is_named():
    for make, word in ((lambda: nets.Dense(0), "units"), (lambda: nets.Conv2D(4, 3, padding="full"), "padding"),
                       (lambda: nets.Activation("swoosh"), "swoosh"), (lambda: nets.Dropout(1.0), "rate"),
                       (lambda: nets.Residual(-1), "filters"), (lambda: built(nets.Conv2D(4, (3, 3, 3)), (3, 8, 8)), "dimensions")):
        with pytest.raises(InputError, match=word):
            make()
    with pytest.raises(ModelError, match="cannot take"):
        Sequential([nets.Conv2D(4, 9, input_shape=(5, 5, 1))]).build()
    assert np.isfinite(Sequential([nets.Dense(2, input_shape=(3,))], seed=0).predict(np.zeros((1, 3)))).all()
