"""Records Keras' layers: `tests/fixtures/layers.safetensors`.

Install, in an environment of its own:  python3 -m venv keras && keras/bin/pip install tensorflow-cpu keras
Run:                                    keras/bin/python tests/peers/layers.py

Each case is a model: a Dense layer, through which gradients of the layers behind it are seen, those layers, and Flatten. Recorded
are the model as JSON, its outputs, and its weights before and after one step of SGD with a mean squared error. Layers that draw
random numbers are recorded without a step. Recorded with Keras 3.15.1 on TensorFlow 2.21.0.
"""

import itertools
import json

import keras
import numpy as np
from keras import layers
from keras.src.applications.convnext import LayerScale, StochasticDepth
from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

from recorded import save

SAMPLES, IMAGE, LEARNING_RATE = 2, (3, 4, 4), 64.0


def case(name, behind, shape=IMAGE, scale=1.0, step=True):
    """`behind` is a function from the Dense layer's output to the tensor to flatten, or a list of layers."""
    keras.utils.clear_session()
    draw = np.random.default_rng(7)
    image = keras.Input(shape)
    y = layers.Dense(shape[-1], name="front")(image)
    if callable(behind):
        y = behind(y)
    else:
        for layer in behind:
            y = layer(y)
    model = keras.Model(image, layers.Flatten(name="flat")(y), name="model")
    description = {"name": name, "model": json.loads(model.to_json()), "step": step}
    arrays = {"x": draw.normal(size=(SAMPLES, *shape)).astype("float32")}
    weights = []
    for i, variable in enumerate(model.weights):
        value = draw.normal(size=variable.shape).astype("float32")
        if "variance" in variable.path:
            value = np.abs(value) + np.float32(0.1)
        if "front/kernel" in variable.path:
            value *= np.float32(scale)
        if variable.path.endswith("count"):
            value = np.zeros(variable.shape, "float32")
        weights.append(value)
        arrays[f"before.{i}"] = np.asarray(value, "float32")
    model.set_weights(weights)
    for layer in model.layers:
        if isinstance(layer, layers.Normalization):
            layer.finalize_state()  # takes mean and variance from the weights
    arrays["output"] = np.asarray(model(arrays["x"], training=False))
    if step:
        arrays["y"] = draw.normal(size=arrays["output"].shape).astype("float32")
        model.compile(optimizer=keras.optimizers.SGD(LEARNING_RATE), loss="mean_squared_error", run_eagerly=True)
        model.train_on_batch(arrays["x"], arrays["y"])
        for i, variable in enumerate(model.weights):
            arrays[f"after.{i}"] = np.asarray(variable.numpy(), "float32")
    return description, arrays


def merges():
    gap = lambda keepdims: layers.GlobalAveragePooling2D(keepdims=keepdims)
    for merge in [layers.Add, layers.Average, layers.Maximum, layers.Minimum, layers.Multiply, layers.Subtract]:
        of = lambda inputs: lambda y, merge=merge: merge()(inputs(y))
        name = merge.__name__
        # Equal values where y is above 0.
        yield case(f"{name} equal", of(lambda y: [y, layers.ReLU()(y)]))
        yield case(f"{name} equal, second", of(lambda y: [layers.ReLU()(y), y]))
        yield case(f"{name} channels", of(lambda y: [y, gap(True)(y)]))
        yield case(f"{name} channels first", of(lambda y: [gap(True)(y), y]))
        yield case(f"{name} other rank", of(lambda y: [y, gap(False)(y)]))
        yield case(f"{name} places", of(lambda y: [layers.Dense(1)(y), y]))
        yield case(f"{name} both", of(lambda y: [layers.Dense(1)(y), gap(True)(y)]))
        if merge is not layers.Subtract:
            yield case(f"{name} of three", of(lambda y: [y, gap(True)(y), layers.Dense(1)(y)]))


def activations():
    names = ["celu", "elu", "exponential", "gelu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_tanh", "leaky_relu", "linear",
             "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "soft_shrink", "softmax", "softplus",
             "softsign", "sparse_plus", "sparse_sigmoid", "squareplus", "tanh", "tanh_shrink"]
    for name in names:
        # A sigmoid or softmax at the end would be fused with the loss.
        yield case(f"activation {name}", [layers.Activation(name), layers.Rescaling(0.5)], scale=2.0)
    yield case("Dense with hard_silu", [layers.Dense(3, activation="hard_swish")])
    yield case("Conv2D with relu6", [layers.Conv2D(3, 2, activation="relu6")], scale=3.0)
    yield case("activation approximate gelu", [layers.Activation(keras.src.ops.nn.Gelu(approximate=True))], scale=2.0)
    for axis in [1, -2, (1, 3), (1, 2, 3)]:
        yield case(f"Softmax along {axis}", [layers.Softmax(axis=axis), layers.Rescaling(0.5)], scale=2.0)
    for most, threshold, slope in itertools.product([None, 6.0, 1.5], [0.0, 0.5], [0.0, 0.25]):
        layer = lambda: layers.ReLU(max_value=most, threshold=threshold, negative_slope=slope)
        yield case(f"ReLU {most} {threshold} {slope}", [layer()], scale=4.0)
    yield case("Dense with a ReLU", [layers.Dense(3, activation=layers.ReLU(1.0, 0.125, 0.25))])
    yield case("PReLU", [layers.PReLU()])
    yield case("PReLU shared", [layers.PReLU(shared_axes=[1, 2], alpha_initializer="ones")])
    yield case("PReLU of a vector", [layers.PReLU()], shape=(7,))


def shapes():
    yield case("Reshape", [layers.Reshape((6, 8))])
    yield case("Reshape -1", [layers.Reshape((-1, 2)), layers.Dense(2)])
    yield case("Permute", [layers.Permute((2, 1, 3)), layers.Reshape((12, 4)), layers.Dense(2)])
    yield case("Permute all", [layers.Permute((3, 1, 2)), layers.Dense(2)])
    yield case("Cropping2D", [layers.Cropping2D(((0, 1), (1, 2)))])
    yield case("Cropping2D of all sides", [layers.Cropping2D(1)])
    yield case("Identity", [layers.Identity()])
    for interpolation in ["nearest", "bilinear"]:
        for size in [(2, 2), (3, 1)]:
            yield case(f"UpSampling2D {size} {interpolation}", [layers.UpSampling2D(size, interpolation=interpolation)])
        for size in [(2, 3), (5, 7), (1, 9)]:
            yield case(f"Resizing {size} {interpolation}", [layers.Resizing(*size, interpolation=interpolation)])
    yield case("GlobalAveragePooling2D", [layers.GlobalAveragePooling2D(keepdims=True)])


def normalizations():
    yield case("Normalization", [layers.Normalization()])
    yield case("Normalization axis 3", [layers.Normalization(axis=3)])
    yield case("Normalization inverted", [layers.Normalization(invert=True)])
    yield case("Normalization of two axes", [layers.Normalization(axis=(1, 3))])
    yield case("Normalization of all axes", [layers.Normalization(axis=(1, 2, 3))])
    yield case("Normalization of no axis", [layers.Normalization(axis=None)])
    yield case("Normalization of rows", [layers.Normalization(axis=1)])
    yield case("Normalization with numbers", [layers.Normalization(mean=0.5, variance=2.0)])
    yield case("Normalization with lists", [layers.Normalization(mean=[0.5, 1.0, 0.0, 3.0], variance=[2.0, 0.5, 1.0, 0.0])])
    yield case("Normalization with lists, inverted", [
        layers.Normalization(axis=-1, mean=[0.5, 1.0, 0.0, 3.0], variance=[2.0, 0.5, 1.0, 4.0], invert=True)
    ])
    for axis in [-1, 3, 1, [1, 2], [2, 3], [1, 2, 3], [-1, 1]]:
        yield case(f"LayerNormalization {axis}", [layers.LayerNormalization(axis=axis)])
    yield case("LayerNormalization options", [layers.LayerNormalization(epsilon=0.1, center=False)])
    yield case("LayerNormalization of a vector", [layers.LayerNormalization(scale=False)], shape=(70,))
    yield case("LayerNormalization alone", [layers.LayerNormalization(scale=False, center=False)])
    for groups in [1, 2, 4, -1]:
        yield case(f"GroupNormalization {groups}", [layers.GroupNormalization(groups)])
    yield case("GroupNormalization options", [layers.GroupNormalization(2, axis=3, epsilon=0.5, scale=False)])
    for axis in [1, -2]:
        yield case(f"GroupNormalization along {axis}", [layers.GroupNormalization(1 if axis == 1 else 2, axis=axis)])
    yield case("GroupNormalization of a vector", [layers.GroupNormalization(2, center=False)], shape=(6,))


def random_layers():
    yield case("SpatialDropout2D", [layers.SpatialDropout2D(0.5, seed=3)], step=False)
    yield case("GaussianNoise", [layers.GaussianNoise(0.25)], step=False)
    yield case("StochasticDepth", [StochasticDepth(0.5)], step=False)
    yield case("RandomFlip", [layers.RandomFlip("horizontal", seed=3), layers.RandomFlip()], step=False)
    yield case("RandomRotation", [layers.RandomRotation(0.25, fill_mode="constant", fill_value=1.5)], step=False)
    yield case("RandomZoom", [layers.RandomZoom(0.25), layers.RandomZoom((-0.5, 0.25), 0.5, interpolation="nearest")], step=False)
    yield case("RandomTranslation", [layers.RandomTranslation((-0.5, 0.25), 0.125, fill_mode="wrap")], step=False)
    yield case("RandomContrast", [layers.RandomContrast((0.25, 0.5), value_range=(0.0, 1.0), seed=3)], step=False)
    yield case("RandomBrightness", [layers.RandomBrightness(0.25, value_range=(-1.0, 1.0))], step=False)


def applications():
    yield case("LayerScale", [LayerScale(0.5, 4)])
    yield case("CustomScaleLayer", lambda y: CustomScaleLayer(0.25)([y, layers.Dense(4)(y)]))


def operations():
    yield case("operations with numbers", lambda y: ((y + 3.0) * 0.25 - 1.0) / 2.0)
    yield case("operations from numbers", lambda y: 1.0 - 2.0 * y)
    yield case("operations of tensors", lambda y: keras.ops.maximum(y * layers.Dense(4)(y) - y, y))


save("layers", [*merges(), *activations(), *shapes(), *normalizations(), *random_layers(), *applications(), *operations()])
