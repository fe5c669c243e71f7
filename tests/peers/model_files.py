"""Records Keras' treatment of members of model files that a reader might ignore: `tests/fixtures/model_files/`.

Install, in an environment of its own:
    python3 -m venv keras && keras/bin/pip install tensorflow-cpu keras tf_keras safetensors
Run:
    keras/bin/python tests/peers/model_files.py

Each `NAME.json` is a model written by Keras 3 (`act_obj`, `dropout_seed`, `op_add`) or Keras 2 (`called_with_training`).
`NAME.safetensors` has its weights as `layer/variable`, samples `x` and Keras' predictions `y`. For
`called_with_training`, which is trained by SGD on `x` and the classes `labels`, three steps of all samples, it also holds
the trained weights in `final/` and the loss of each step, `losses`.

The files `NAME.h5.gz` are weights of two convolutions of one shape, `first` and then `second`, whose names count the other
way round, or, in `theano.h5`, do not. Recorded with Keras 3.15.1 and tf_keras 2.21.0.
"""

import gzip
import json
import os
import pathlib

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import h5py
import keras
import numpy as np
import tf_keras
from safetensors.numpy import save_file

FOLDER = pathlib.Path(__file__).parent.parent / "fixtures" / "model_files"
FOLDER.mkdir(exist_ok=True)
draw = np.random.default_rng(7)


def uniform(*shape, low=-1.0, high=1.0):
    return draw.uniform(low, high, size=shape).astype("float32")


def variables(model, prefix=""):
    names = {f"{layer.name}/{v.name.split('/')[-1].split(':')[0]}": v for layer in model.layers for v in layer.variables}
    return {prefix + name: np.ascontiguousarray(v.numpy()) for name, v in names.items()}


def record(name, model, x, **more):
    y = np.ascontiguousarray(model.predict(x, verbose=0))
    (FOLDER / f"{name}.json").write_text(json.dumps(json.loads(model.to_json())))
    save_file({"x": x, "y": y, **variables(model), **more}, FOLDER / f"{name}.safetensors")


def keras3(name, layers):
    image = keras.Input([8, 8, 3])
    model = keras.Model(image, layers(image))
    model.set_weights([uniform(*w.shape) for w in model.get_weights()])
    record(name, model, uniform(2, 8, 8, 3))


conv = keras.layers.Conv2D
keras3("act_obj", lambda x: conv(5, 1, activation=keras.layers.LeakyReLU(0.1), name="conv")(x))
keras3("dropout_seed", lambda x: keras.layers.Dropout(0.5, seed=42, name="dropout")(conv(5, 1, name="conv")(x)))
keras3("op_add", lambda x: conv(5, 1, name="a")(x) + conv(5, 1, name="b")(x))


def called_with_training():
    layers = tf_keras.layers
    x = image = tf_keras.Input([4, 4, 3], name="image")
    x = layers.Rescaling([0.5, 2.0, -1.0], offset=[0.25, -0.5, 0.0], name="rescaling")(x)
    x = layers.Conv2D(5, 3, activation=layers.ELU(0.5), name="conv")(x)
    x = layers.BatchNormalization(name="norm")(x, training=False)
    x = layers.Dropout(0.5, name="dropout")(x, training=False)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(3, activation="softmax", name="dense")(x)
    model = tf_keras.Model(image, x, name="called_with_training")
    values = {v.name: uniform(*v.shape) for v in model.variables}
    values = {name: abs(v) + 0.5 if "variance" in name else v for name, v in values.items()}
    model.set_weights([values[v.name] for v in model.variables])
    samples, labels = uniform(6, 4, 4, 3), np.arange(6, dtype="float32") % 3
    before = variables(model)
    y = model.predict(samples, verbose=0)
    model.compile(tf_keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    losses = model.fit(samples, labels, batch_size=6, epochs=3, shuffle=False, verbose=0).history["loss"]
    after = variables(model, "final/")
    (FOLDER / "called_with_training.json").write_text(model.to_json())
    more = {"labels": labels, "losses": np.float32(losses)}
    save_file({"x": samples, "y": y, **before, **more, **after}, FOLDER / "called_with_training.safetensors")


called_with_training()


def swapped(k, first, second, name, backend=None):
    """A chain of two convolutions. The first one multiplies by 2, the second by 3."""
    layers = [k.layers.Conv2D(1, 1, name=first), k.layers.Conv2D(1, 1, name=second)]
    model = k.Sequential([k.Input([2, 2, 1]), *layers])
    model.set_weights([np.float32([[[[2]]]]), np.float32([0]), np.float32([[[[3]]]]), np.float32([1])])
    path = FOLDER / name
    model.save_weights(path)
    if backend:
        with h5py.File(path, "r+") as file:
            file.attrs["backend"] = backend.encode()
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    path.unlink()


swapped(tf_keras, "conv2d_5", "conv2d_4", "counted_down_keras2.h5")
swapped(keras, "conv2d_5", "conv2d_4", "counted_down_keras3.weights.h5")
swapped(tf_keras, "conv2d", "conv2d_1", "theano.h5", backend="theano")
swapped(tf_keras, "conv2d_1", "conv2d", "contradiction_keras2.h5")
swapped(keras, "conv2d_1", "conv2d", "contradiction_keras3.weights.h5")
for path in sorted(FOLDER.iterdir()):
    print(f"{path.name}: {path.stat().st_size} bytes")
