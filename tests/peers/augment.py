"""Records Keras' ImageDataGenerator on made-up images as a fixture.

Install, in an environment of its own:  python3 -m venv keras && keras/bin/pip install tensorflow-cpu keras scipy pillow safetensors
Run:                                    keras/bin/python tests/peers/augment.py tests/fixtures/augment.safetensors

Transforms are drawn as in crates/ops/src/augment_draw.rs and then passed to Keras' functions. Keras 3 confuses the
height with the width in the centre of an image, and shifts along the wrong axis, so images are square
here and the shifts are passed under the right names.
"""

import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from keras.src.legacy.preprocessing.image import (
    ImageDataGenerator,
    apply_affine_transform,
    apply_brightness_shift,
    apply_channel_shift,
    flip_axis,
)
from safetensors.numpy import save_file

KEY = (0x12345678, 0x9ABCDEF0)
STREAM = 0xFFFFFF00
AXES = {"row_axis": 0, "col_axis": 1, "channel_axis": 2}


def random4(counter, stream):
    """Four random words: shaders/lib/random.wgsl."""
    word = 0xFFFFFFFF
    v = [(n * 1664525 + 1013904223) & word for n in (counter, stream, *KEY)]

    def mix(v):
        for at, (a, b) in enumerate([(1, 3), (2, 0), (0, 1), (1, 2)]):
            v[at] = (v[at] + v[a] * v[b]) & word

    mix(v)
    v = [n ^ (n >> 16) for n in v]
    mix(v)
    return v


def between(low, high, word):
    return low + (high - low) * (word >> 8) / 2**24


def drawn(n, options):
    """The draws of image n, with Keras' names; `tx` is horizontal."""
    a, b, d = (random4(n, STREAM + i) for i in range(3))
    rotation, shear, shift = (options.get(name, 0.0) for name in ("rotation", "shear", "shift"))
    zoom, channel, brightness = options.get("zoom", [1, 1]), options.get("channel_shift", 0.0), options.get("brightness", [1, 1])
    flips = options.get("flips", False)
    return {
        "theta": between(-rotation, rotation, a[0]),
        "shear": between(-shear, shear, a[1]),
        "zx": between(*zoom, a[2]),
        "zy": between(*zoom, a[3]),
        "ty": between(-shift, shift, b[0]),
        "tx": between(-shift, shift, b[1]),
        "horizontal_flip": flips and b[2] & 1 == 1,
        "vertical_flip": flips and b[2] & 2 == 2,
        "channel_shift": between(-channel, channel, b[3]),
        "brightness": between(*brightness, d[0]),
    }


def changed(x, n, options):
    draws = drawn(n, options)
    transform = {name: draws[name] for name in ("theta", "shear", "zx", "zy", "ty", "tx")}
    filled = {"fill_mode": options.get("fill_mode", "nearest"), "cval": 100.0, "order": options.get("order", 1)}
    x = apply_affine_transform(x, **transform, **AXES, **filled)
    if "channel_shift" in options:
        x = apply_channel_shift(x, draws["channel_shift"], 2)
    if draws["horizontal_flip"]:
        x = flip_axis(x, 1)
    if draws["vertical_flip"]:
        x = flip_axis(x, 0)
    if "brightness" in options:
        x = apply_brightness_shift(x, draws["brightness"], scale=False)
    return x


def main(path):
    random = np.random.default_rng(1)
    tensors = {
        "color": random.integers(0, 256, (6, 11, 11, 3)).astype("float32"),
        "gray": random.integers(0, 256, (6, 8, 8, 1)).astype("float32"),
    }
    warp = {"rotation": 60.0, "shear": 20.0, "shift": 4.5, "zoom": [0.6, 1.7], "flips": True}
    cases = []
    for fill_mode in ("nearest", "constant", "reflect", "wrap"):
        for order in (0, 1):
            for x in ("color", "gray"):
                cases.append({"x": x, **warp, "fill_mode": fill_mode, "order": order})
    cases.append({"x": "color", "flips": True})
    cases.append({"x": "color", "flips": True, "channel_shift": 90.0})
    cases.append({"x": "color", "rotation": 30.0, "channel_shift": 90.0})
    cases.append({"x": "color", "brightness": [0.2, 2.5]})
    for i, case in enumerate(cases):
        images = tensors[case["x"]].copy()
        tensors[f"{i}.y"] = np.stack([changed(image, n, case) for n, image in enumerate(images)]).astype("float32")

    # Images of 4 x 4 x 3 with correlated values, more images than values.
    mixed = random.normal(size=(200, 48)) @ random.normal(size=(48, 48)) * 10 + 120
    tensors["many"] = np.clip(np.round(mixed), 0, 255).reshape(200, 4, 4, 3).astype("float32")
    standards = [
        {"samplewise_center": True},
        {"samplewise_center": True, "samplewise_std_normalization": True, "rescale": 1 / 255},
        {"featurewise_center": True},
        {"featurewise_center": True, "featurewise_std_normalization": True, "rescale": 1 / 127.5},
        {"samplewise_center": True, "featurewise_center": True, "featurewise_std_normalization": True},
        # Keras adds epsilon to the roots of the variances, Kiln to the variances, as Keras 2; it is too small to matter.
        {"featurewise_center": True, "zca_whitening": True, "zca_epsilon": 1e-10, "rescale": 1 / 255},
    ]
    for i, options in enumerate(standards):
        generator = ImageDataGenerator(**options)
        generator.fit(tensors["many"])
        first = tensors["many"][:5].copy()
        tensors[f"standard {i}"] = np.stack([generator.standardize(image) for image in first]).astype("float32")
    tensors = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    save_file(tensors, path, {"cases": json.dumps(cases), "standards": json.dumps(standards)})


main(sys.argv[1])
