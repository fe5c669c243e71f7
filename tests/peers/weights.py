"""Writes weights in all of Keras' file formats: `tests/fixtures/weights/`.

Install, in an environment of its own:  python3 -m venv keras && keras/bin/pip install tensorflow-cpu keras tf-keras
Run:                                    keras/bin/python tests/peers/weights.py

One small model, written by Keras 3 and by Keras 2 (tf_keras), with default names that do not start at 0, because other
models were created before it. The weights are in `keras.safetensors`, with Kiln's names.
Recorded with Keras 3.15.1, tf_keras 2.21.0 and h5py 3.14.0.
"""

import gzip
import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import h5py
import keras
import numpy as np
import tf_keras
from safetensors.numpy import save_file
from tf_keras.src.saving.legacy import hdf5_format

from recorded import FIXTURES

FOLDER = FIXTURES / "weights"
LAYERS = {"conv2d": ["kernel", "bias"], "batch_normalization": ["beta", "moving_mean", "moving_variance"]}
LAYERS |= {"conv2d_1": ["kernel"], "head": ["kernel", "bias"]}


def model(k):
    k.Sequential([k.Input([4, 4, 1]), k.layers.Conv2D(1, 1), k.layers.BatchNormalization()])  # counts on
    layers = k.layers
    model = k.Sequential(
        [
            k.Input([4, 4, 1]),
            layers.Conv2D(2, 3),
            layers.BatchNormalization(scale=False),
            layers.Conv2D(3, (1, 2), use_bias=False),
            layers.Flatten(),
            layers.Dense(2, name="head"),
        ]
    )
    draw = np.random.default_rng(5)
    model.set_weights([draw.uniform(0.5, 2.0, size=w.shape).astype("float32") for w in model.get_weights()])
    return model


def expected(model):
    layers = [layer for layer in model.layers if layer.weights]
    names = [f"{layer}/{name}" for layer, names in LAYERS.items() for name in names]
    values = [np.asarray(weight) for layer in layers for weight in layer.get_weights()]
    assert len(names) == len(values)
    return dict(zip(names, values))


def applications(path, values):
    """A file with Keras 1's names of data sets, as in keras-applications, but compressed."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"input_1", *[layer.encode() for layer in LAYERS]]
        file.create_group("input_1").attrs["weight_names"] = []
        for layer, names in LAYERS.items():
            group = file.create_group(layer)
            own = {"kernel": "W", "bias": "b", "moving_mean": "running_mean", "moving_variance": "running_std"}
            group.attrs["weight_names"] = [f"{layer}_{own.get(name, name)}_1:0".encode() for name in names]
            for name, weight in zip(names, group.attrs["weight_names"]):
                value = values[f"{layer}/{name}"]
                chunks = tuple(-(-extent // 2) for extent in value.shape)
                group.create_dataset(weight, data=value, chunks=chunks, compression="gzip", shuffle=True)


FOLDER.mkdir(exist_ok=True)
keras3, keras2 = model(keras), model(tf_keras)
values = expected(keras3)
assert all((value == expected(keras2)[name]).all() for name, value in values.items())
save_file(values, FOLDER / "keras.safetensors")
keras3.save_weights(FOLDER / "keras3.weights.h5")
keras3.save(FOLDER / "keras3_model.h5", include_optimizer=False)
keras2.save_weights(FOLDER / "tf_keras.weights.h5")  # as Keras 3.0 to 3.3: without the layers' names
hdf5_format.HDF5_OBJECT_HEADER_LIMIT = 64  # splits the attribute as thousands of layers would
keras2.save_weights(FOLDER / "tf_keras_weights.h5")
applications(FOLDER / "applications.h5", values)
for path in FOLDER.glob("*.h5"):  # mostly zeros
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    path.unlink()
for path in sorted(FOLDER.iterdir()):
    print(f"{path.name}: {path.stat().st_size} bytes")
