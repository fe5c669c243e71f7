"""Records VGG16 and InceptionV3 with weights from a formula at several depths in Keras.

    python -m venv peers && peers/bin/pip install tensorflow-cpu keras safetensors
    peers/bin/python tests/peers/backbones.py                          # records fixtures/backbones.safetensors
    peers/bin/python tests/peers/backbones.py target/release/kiln      # compares with that program, up to 299 x 299
    peers/bin/python tests/peers/backbones.py target/release/kiln inception_v3 299             # only this

The second prints a line per size and depth and exits with status 1 if one differs by more than 1e-3 of the largest value.
`tests/backbones.rs` has the same formula and compares with the recording.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
import numpy as np

import recorded

APPLICATIONS = {"vgg16": keras.applications.vgg16, "inception_v3": keras.applications.inception_v3}
CONSTRUCTORS = {"vgg16": keras.applications.VGG16, "inception_v3": keras.applications.InceptionV3}
DEPTHS = {
    "vgg16": ["block1_pool", "block3_conv3", "block4_pool", "block5_pool"],
    "inception_v3": ["activation_2", "mixed0", "mixed3", "mixed7", "mixed8", "mixed10"],
}
TOP = {"vgg16": ["fc2", "predictions"], "inception_v3": ["avg_pool", "predictions"]}
IMAGES = 2
CLASSES = 10
SAMPLES = 97  # recorded values per tensor


def uniform(name, count):
    """Values from 0 to 1, hashed from a name and their indices in 32 bits (FNV-1a of the name, then a mixer)."""
    seed = 2166136261
    for byte in name.encode():
        seed = (seed ^ byte) * 16777619 % 2**32
    x = (np.arange(count, dtype=np.uint64) * np.uint64(2654435761) + np.uint64(seed)) & np.uint64(2**32 - 1)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x ^= x >> np.uint64(shift)
        x = x * np.uint64(factor) & np.uint64(2**32 - 1)
    x ^= x >> np.uint64(16)
    return x.astype(np.float64) / 2**32


def weight(name, shape):
    """Kernels within the limits of he_uniform, variances and scales from 0.5 to 1.5, all else from -0.1 to 0.1."""
    u = uniform(name, int(np.prod(shape)))
    kind = name.split("/")[1]
    if kind == "kernel":
        values = (2 * u - 1) * np.sqrt(6 / np.prod(shape[:-1]))
    elif kind in ("moving_variance", "gamma"):
        values = 0.5 + u
    else:
        values = (2 * u - 1) * 0.1
    return values.reshape(shape).astype("float32")


def build(name, size, top):
    keras.backend.clear_session()  # names count from the beginning
    model = CONSTRUCTORS[name](weights=None, include_top=top, input_shape=(size, size, 3), classes=CLASSES)
    for layer in model.layers:
        layer.set_weights([weight(f"{layer.name}/{w.name}", w.shape) for w in layer.weights])
    return model


def images(name, size):
    pixels = np.floor(256 * uniform(f"{name}/{size}", IMAGES * size * size * 3)).reshape(IMAGES, size, size, 3)
    return pixels, APPLICATIONS[name].preprocess_input(pixels.astype("float32").copy())


def depths(model, x, names):
    return dict(zip(names, keras.Model(model.inputs, [model.get_layer(name).output for name in names]).predict(x, verbose=0)))


def record():
    cases = []
    for name, size in (("vgg16", 32), ("inception_v3", 75)):
        names = DEPTHS[name] + TOP[name]
        _, x = images(name, size)
        given = depths(build(name, size, True), x, names)
        arrays = {}
        for layer, y in given.items():
            flat = y.reshape(-1)
            arrays[layer] = flat[:: max(1, flat.size // SAMPLES)].astype("float32")
            arrays[f"{layer}/largest"] = np.array([np.abs(flat).max()], "float32")
        cases.append(({"model": name, "size": size, "layers": names}, arrays))
    recorded.save("backbones", cases)


def compare(kiln, only, only_sizes):
    from safetensors.numpy import load_file, save_file

    failed = False
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for name, sizes in (("vgg16", (75, 139, 224)), ("inception_v3", (75, 139, 224, 299))):
            for size in sizes:
                if only not in (None, name) or only_sizes and size not in only_sizes:
                    continue
                top = size == sizes[-1]
                model = build(name, size, top)
                _, x = images(name, size)
                x = np.ascontiguousarray(x, "float32")
                save_file({"x": x}, folder / "x.safetensors")
                names = DEPTHS[name] + (TOP[name] if top else [])
                for layer, expected in depths(model, x, names).items():
                    part = keras.Model(model.inputs, model.get_layer(layer).output)
                    (folder / "model.json").write_text(part.to_json())
                    weights = {f"{l.name}/{w.name}": np.ascontiguousarray(w.numpy()) for l in part.layers for w in l.weights}
                    save_file(weights, folder / "w.safetensors")
                    began = time.time()
                    arguments = ["--weights", folder / "w.safetensors", "--input", folder / "x.safetensors", "--output", folder / "y.safetensors"]
                    done = subprocess.run([kiln, "predict", folder / "model.json", *arguments], capture_output=True, text=True)
                    if done.returncode != 0:
                        raise SystemExit(done.stderr)
                    found = load_file(folder / "y.safetensors")["y"]
                    error = np.abs(found - expected).max() / np.abs(expected).max()
                    ok = found.shape == expected.shape and error <= 1e-3
                    failed |= not ok
                    print(f"{'ok  ' if ok else 'FAIL'} {name} {size} {layer} {expected.shape}: {error:.1e}, {time.time() - began:.1f} s", flush=True)
    sys.exit(failed)


if len(sys.argv) > 1:
    compare(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None, [int(size) for size in sys.argv[3:]])
else:
    record()
