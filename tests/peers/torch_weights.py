"""torchvision's and timm's VGG16 and InceptionV3 in NumPy and TensorFlow, to check the mapping of their weights.

Install, in an environment of its own:  python3 -m venv keras && keras/bin/pip install tensorflow-cpu keras
Run:                                    keras/bin/python tests/peers/torch_weights.py

Writes to `tests/fixtures/weights/`: a VGG16 of few channels with random weights in both formats, and its output for
an image; and the mapping of torchvision's InceptionV3 layers to Keras'. The mapping is tested: with random
weights, Keras' model and torchvision's, reimplemented below, have the same features. The one difference is
shown too: torchvision's average pooling counts padding. Recorded with Keras 3.15.1 on TensorFlow 2.21.0.
"""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
import numpy as np
import tensorflow as tf
from safetensors.numpy import save_file

from recorded import FIXTURES

FOLDER = FIXTURES / "weights"
draw = np.random.default_rng(7)


def normal(*shape, deviation=1.0):
    return draw.normal(0.0, deviation, size=shape).astype("float32")


# VGG16, images as [channels, height, width].


def convolution(x, kernel, bias):
    channels, height, width = x.shape
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1)])
    y = np.zeros([len(kernel), height, width])
    for r in range(3):
        for s in range(3):
            y += np.einsum("oc,chw->ohw", kernel[:, :, r, s], padded[:, r : r + height, s : s + width])
    return y + bias[:, None, None]


def vgg16(x, weights):
    for place in range(31):  # features: convolutions, each followed by ReLU, and pooling
        if f"features.{place}.weight" in weights:
            x = convolution(x, weights[f"features.{place}.weight"], weights[f"features.{place}.bias"])
        elif place in (4, 9, 16, 23, 30):
            channels, height, width = x.shape
            x = x.reshape(channels, height // 2, 2, width // 2, 2).max(axis=(2, 4))
        else:
            x = np.maximum(x, 0.0)
    x = x.reshape(-1)
    for place in (0, 3, 6):
        x = weights[f"classifier.{place}.weight"] @ x + weights[f"classifier.{place}.bias"]
        x = x if place == 6 else np.maximum(x, 0.0)
    return x


def record_vgg16():
    weights, channels = {}, 3
    places = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
    for place, filters in zip(places, [2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 4]):
        weights[f"features.{place}.weight"] = normal(filters, channels, 3, 3, deviation=(2 / channels / 9) ** 0.5)
        weights[f"features.{place}.bias"] = np.abs(normal(filters, deviation=0.3))
        channels = filters
    for place, (inputs, outputs) in zip([0, 3, 6], [(channels * 2 * 1, 5), (5, 4), (4, 3)]):
        weights[f"classifier.{place}.weight"] = normal(outputs, inputs)
        weights[f"classifier.{place}.bias"] = np.abs(normal(outputs))
    image = normal(3, 64, 32)
    logits = vgg16(image, weights)
    save_file(weights, FOLDER / "vgg16_torchvision.safetensors")
    timm = {name: value for name, value in weights.items() if name.startswith("features.")}
    for place, layer in {"0": "pre_logits.fc1", "3": "pre_logits.fc2", "6": "head.fc"}.items():
        kernel = weights[f"classifier.{place}.weight"]
        shape = {"0": [5, channels, 2, 1], "3": [4, 5, 1, 1], "6": kernel.shape}[place]
        timm |= {f"{layer}.weight": kernel.reshape(shape), f"{layer}.bias": weights[f"classifier.{place}.bias"]}
    save_file(timm, FOLDER / "vgg16_timm.safetensors")
    image = np.ascontiguousarray(image.transpose(1, 2, 0))
    save_file({"image": image, "logits": logits.astype("float32")}, FOLDER / "vgg16_expected.safetensors")


# InceptionV3, images as [height, width, channels].


class InceptionV3:
    """torchvision's modules in its order, with random weights drawn on first use."""

    def __init__(self, count_padding):
        self.count_padding = count_padding
        self.weights = {}

    def conv(self, name, x, filters, kernel, stride=1, padding=(0, 0)):
        if name not in self.weights:
            channels = x.shape[-1]
            fan_in = channels * kernel[0] * kernel[1]
            self.weights[name] = {
                "conv.weight": normal(filters, channels, *kernel, deviation=(2 / fan_in) ** 0.5),
                "bn.weight": draw.uniform(0.5, 1.5, filters).astype("float32"),
                "bn.bias": normal(filters, deviation=0.1),
                "bn.running_mean": normal(filters, deviation=0.1),
                "bn.running_var": draw.uniform(0.5, 1.5, filters).astype("float32"),
            }
        w = self.weights[name]
        x = tf.pad(x, [(0, 0), (padding[0], padding[0]), (padding[1], padding[1]), (0, 0)])
        x = tf.nn.conv2d(x, w["conv.weight"].transpose(2, 3, 1, 0), stride, "VALID")
        scale = w["bn.weight"] / np.sqrt(w["bn.running_var"] + 1e-3)
        return tf.nn.relu((x - w["bn.running_mean"]) * scale + w["bn.bias"])

    def pool(self, x):
        if not self.count_padding:
            return tf.nn.avg_pool2d(x, 3, 1, "SAME")
        return tf.nn.avg_pool2d(tf.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)]), 3, 1, "VALID")

    def a(self, m, x, pool_features):
        one = self.conv(f"{m}.branch1x1", x, 64, (1, 1))
        five = self.conv(f"{m}.branch5x5_1", x, 48, (1, 1))
        five = self.conv(f"{m}.branch5x5_2", five, 64, (5, 5), padding=(2, 2))
        three = self.conv(f"{m}.branch3x3dbl_1", x, 64, (1, 1))
        three = self.conv(f"{m}.branch3x3dbl_2", three, 96, (3, 3), padding=(1, 1))
        three = self.conv(f"{m}.branch3x3dbl_3", three, 96, (3, 3), padding=(1, 1))
        pool = self.conv(f"{m}.branch_pool", self.pool(x), pool_features, (1, 1))
        return tf.concat([one, five, three, pool], -1)

    def b(self, m, x):
        three = self.conv(f"{m}.branch3x3", x, 384, (3, 3), stride=2)
        double = self.conv(f"{m}.branch3x3dbl_1", x, 64, (1, 1))
        double = self.conv(f"{m}.branch3x3dbl_2", double, 96, (3, 3), padding=(1, 1))
        double = self.conv(f"{m}.branch3x3dbl_3", double, 96, (3, 3), stride=2)
        return tf.concat([three, double, tf.nn.max_pool2d(x, 3, 2, "VALID")], -1)

    def c(self, m, x, c7):
        wide, high = dict(kernel=(1, 7), padding=(0, 3)), dict(kernel=(7, 1), padding=(3, 0))
        one = self.conv(f"{m}.branch1x1", x, 192, (1, 1))
        seven = self.conv(f"{m}.branch7x7_1", x, c7, (1, 1))
        seven = self.conv(f"{m}.branch7x7_2", seven, c7, **wide)
        seven = self.conv(f"{m}.branch7x7_3", seven, 192, **high)
        double = self.conv(f"{m}.branch7x7dbl_1", x, c7, (1, 1))
        double = self.conv(f"{m}.branch7x7dbl_2", double, c7, **high)
        double = self.conv(f"{m}.branch7x7dbl_3", double, c7, **wide)
        double = self.conv(f"{m}.branch7x7dbl_4", double, c7, **high)
        double = self.conv(f"{m}.branch7x7dbl_5", double, 192, **wide)
        pool = self.conv(f"{m}.branch_pool", self.pool(x), 192, (1, 1))
        return tf.concat([one, seven, double, pool], -1)

    def d(self, m, x):
        three = self.conv(f"{m}.branch3x3_1", x, 192, (1, 1))
        three = self.conv(f"{m}.branch3x3_2", three, 320, (3, 3), stride=2)
        seven = self.conv(f"{m}.branch7x7x3_1", x, 192, (1, 1))
        seven = self.conv(f"{m}.branch7x7x3_2", seven, 192, (1, 7), padding=(0, 3))
        seven = self.conv(f"{m}.branch7x7x3_3", seven, 192, (7, 1), padding=(3, 0))
        seven = self.conv(f"{m}.branch7x7x3_4", seven, 192, (3, 3), stride=2)
        return tf.concat([three, seven, tf.nn.max_pool2d(x, 3, 2, "VALID")], -1)

    def e(self, m, x):
        wide, high = dict(kernel=(1, 3), padding=(0, 1)), dict(kernel=(3, 1), padding=(1, 0))
        one = self.conv(f"{m}.branch1x1", x, 320, (1, 1))
        three = self.conv(f"{m}.branch3x3_1", x, 384, (1, 1))
        threes = [self.conv(f"{m}.branch3x3_2a", three, 384, **wide), self.conv(f"{m}.branch3x3_2b", three, 384, **high)]
        double = self.conv(f"{m}.branch3x3dbl_1", x, 448, (1, 1))
        double = self.conv(f"{m}.branch3x3dbl_2", double, 384, (3, 3), padding=(1, 1))
        doubles = [self.conv(f"{m}.branch3x3dbl_3a", double, 384, **wide)]
        doubles += [self.conv(f"{m}.branch3x3dbl_3b", double, 384, **high)]
        pool = self.conv(f"{m}.branch_pool", self.pool(x), 192, (1, 1))
        return tf.concat([one, *threes, *doubles, pool], -1)

    def features(self, x):
        x = self.conv("Conv2d_1a_3x3", x, 32, (3, 3), stride=2)
        x = self.conv("Conv2d_2a_3x3", x, 32, (3, 3))
        x = self.conv("Conv2d_2b_3x3", x, 64, (3, 3), padding=(1, 1))
        x = tf.nn.max_pool2d(x, 3, 2, "VALID")
        x = self.conv("Conv2d_3b_1x1", x, 80, (1, 1))
        x = self.conv("Conv2d_4a_3x3", x, 192, (3, 3))
        x = tf.nn.max_pool2d(x, 3, 2, "VALID")
        for name, pool_features in {"5b": 32, "5c": 64, "5d": 64}.items():
            x = self.a(f"Mixed_{name}", x, pool_features)
        x = self.b("Mixed_6a", x)
        for name, c7 in {"6b": 128, "6c": 160, "6d": 160, "6e": 192}.items():
            x = self.c(f"Mixed_{name}", x, c7)
        x = self.d("Mixed_7a", x)
        return self.e("Mixed_7c", self.e("Mixed_7b", x)).numpy()


def place(weights, layers):
    """Loads torchvision's weights into Keras' model, folding scales into the kernels of convolutions."""
    for w, (conv, normalization) in zip(weights.values(), layers):
        factor = w["bn.weight"]
        conv.set_weights([w["conv.weight"].transpose(2, 3, 1, 0) * factor])
        normalization.set_weights([w["bn.bias"], w["bn.running_mean"] * factor, w["bn.running_var"]])


def record_inception_v3():
    keras.utils.clear_session()
    model = keras.applications.InceptionV3(weights=None, include_top=False)
    layers = {layer.name: layer for layer in model.layers}
    counted = [""] + [f"_{number}" for number in range(1, 94)]
    names = [(f"conv2d{number}", f"batch_normalization{number}") for number in counted]

    image = normal(1, 139, 171, 3)
    torch = InceptionV3(count_padding=False)
    expected = torch.features(image)
    assert len(torch.weights) == 94
    place(torch.weights, [(layers[conv], layers[normalization]) for conv, normalization in names])
    found = model.predict(image, verbose=0)
    error = np.abs(found - expected).max() / np.abs(expected).max()
    counting = InceptionV3(count_padding=True)
    counting.weights = torch.weights
    other = np.abs(found - counting.features(image)).max() / np.abs(expected).max()
    print(f"InceptionV3: {expected.shape}, largest difference {error:.1e}, with counted padding {other:.1e}")
    assert error < 1e-4

    lines = [f"{name} {conv} {normalization}\n" for name, (conv, normalization) in zip(torch.weights, names)]
    (FOLDER / "inception_v3.txt").write_text("".join(lines))


FOLDER.mkdir(exist_ok=True)
record_vgg16()
record_inception_v3()
