"""Records whole models in Keras' files, and opens Kiln's: `tests/fixtures/keras_files/`.

Install, in an environment of its own:
    python3 -m venv keras && keras/bin/pip install tensorflow-cpu keras safetensors
Run:
    keras/bin/python tests/peers/keras_files.py                       # records
    keras/bin/python tests/peers/keras_files.py target/debug/kiln     # opens what `kiln convert` writes

Each model is saved as `NAME.keras`, `NAME.h5` (Keras' legacy format) and `NAME.weights.h5`, all compressed.
`NAME.safetensors` has samples `x` and Keras' predictions `y`, the weights by path, and the weights `final/…` after one step
of SGD (learning rate 0.1) on all samples with the mean squared error to `labels`, and the `losses` before and after it. `keras2_names.h5` is `nested.weights.h5` as Keras 2 wrote it, with the weights of a model within in one
group. `trained.keras` is saved within a training, whose next losses are recorded. Recorded with Keras 3.15.1.
"""

import gzip
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import h5py
import keras
import numpy as np
from safetensors.numpy import load_file, save_file

FOLDER = pathlib.Path(__file__).parent.parent / "fixtures" / "keras_files"
L = keras.layers
Input, Model, Sequential = keras.Input, keras.Model, keras.Sequential


def shared():
    """A convolution, a normalization and, as the output, a dense layer, each called twice."""
    x = Input([5, 4, 2], name="image")
    conv, norm = L.Conv2D(2, 3, padding="same", name="conv"), L.BatchNormalization(name="norm", momentum=0.9)
    a = conv(x)
    b = norm(conv(norm(a)))
    y = L.Add(name="add")([a, b])
    last = L.Dense(2, name="last", activation="tanh")
    return Model(x, last(last(L.GlobalAveragePooling2D(name="pool")(y))), name="shared")


def base(name):
    x = Input([5, 4, 2], name="pixels")
    y = L.Conv2D(3, 3, name="conv")(x)
    y = L.BatchNormalization(name="norm", momentum=0.9)(y)
    y = Sequential([Input([3, 2, 3]), L.Conv2D(3, 1, name="a"), L.ReLU(name="relu")], name="block")(y)
    return Model(x, L.GlobalAveragePooling2D(name="pool")(y), name=name)


def nested():
    """Models within models; one is called twice, one is frozen, two have layers of the same names."""
    x = Input([5, 4, 2], name="image")
    twice, frozen = base("twice"), base("frozen")
    frozen.trainable = False
    both = L.Concatenate(name="both")([twice(x), twice(L.ReLU(name="relu")(x)), frozen(x)])
    head = Sequential([Input([9]), L.Dense(4, activation="tanh"), L.Dense(3)], name="head")
    return Model(x, head(both), name="nested")


def chain():
    """A sequence of models with default names, as in transfer learning."""
    return Sequential([base("base"), Sequential([L.Dense(4), L.BatchNormalization(momentum=0.9)]), L.Dense(2)])


def open_size():
    """Height and width are open."""
    x = Input([None, None, 2])
    y = L.Conv2D(3, 3, name="conv")(x)
    return Model(x, L.GlobalAveragePooling2D(name="pool")(y), name="open_size")


MODELS = {"shared": shared, "nested": nested, "chain": chain, "open_size": open_size}


def weights(model, prefix=""):
    """The weights by path. (`weight.path` lacks the names of models that are called after they were built.)"""
    found = {}
    for layer in model.layers:
        path = f"{prefix}{layer.name}/"
        if isinstance(layer, Model):
            found |= weights(layer, path)
        else:
            found |= {path + weight.name: np.ascontiguousarray(weight.numpy()) for weight in layer.weights}
    return found


def keras2_names(path, model):
    """A weight file as Keras 2 wrote it: the names of variables in a model within have no path."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            group, values = file.create_group(layer.name), layer.trainable_weights + layer.non_trainable_weights
            names = ["/".join(weight.path.split("/")[-2:]) + ":0" for weight in values]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, value in zip(names, values):
                group.create_dataset(name, data=value.numpy())


def record():
    FOLDER.mkdir(exist_ok=True)
    for name, build in MODELS.items():
        keras.utils.clear_session()
        draw = np.random.default_rng(3)
        model = build()
        model.set_weights([draw.uniform(0.2, 1.0, size=w.shape).astype("float32") for w in model.get_weights()])
        x = draw.uniform(-1, 1, size=(4, 5, 4, 2)).astype("float32")
        y = np.ascontiguousarray(model.predict(x, verbose=0))
        for ending in ["keras", "h5", "weights.h5"]:
            path = FOLDER / f"{name}.{ending}"
            model.save_weights(path) if ending == "weights.h5" else model.save(path)
        if name == "nested":
            keras2_names(FOLDER / "keras2_names.h5", model)
        tensors = {"x": x, "y": y, **weights(model)}
        labels = draw.uniform(-1, 1, size=y.shape).astype("float32")
        model.compile(keras.optimizers.SGD(0.1), "mse")
        losses = [model.train_on_batch(x, labels), model.evaluate(x, labels, verbose=0)]
        tensors |= {"labels": labels, "losses": np.array(losses, "float32"), **weights(model, "final/")}
        save_file(tensors, FOLDER / f"{name}.safetensors")
    record_training()
    for path in sorted(FOLDER.glob("*.h5")) + sorted(FOLDER.glob("*.keras")):  # mostly zeros
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
        path.unlink()
    for path in sorted(FOLDER.iterdir()):
        print(f"{path.name}: {path.stat().st_size} bytes")


def record_training():
    """A training that is saved after 3 steps of Adam, and the losses of 3 more."""
    keras.utils.clear_session()
    draw = np.random.default_rng(3)
    x = Input([3])
    y = L.BatchNormalization(name="norm", momentum=0.9)(L.Dense(4, name="a", activation="tanh")(x))
    model = Model(x, L.Dense(2, name="b")(y), name="trained")
    model.set_weights([draw.uniform(0.2, 1.0, size=w.shape).astype("float32") for w in model.get_weights()])
    x, labels = [draw.uniform(-1, 1, size=(4, size)).astype("float32") for size in [3, 2]]
    model.compile(keras.optimizers.Adam(0.03), "mse")
    for _ in range(3):
        model.train_on_batch(x, labels)
    model.save(FOLDER / "trained.keras")
    losses = np.array([model.train_on_batch(x, labels) for _ in range(3)], "float32")
    save_file({"x": x, "labels": labels, "losses": losses, **weights(model, "final/")}, FOLDER / "trained.safetensors")


def difference(found, expected):
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def check(kiln):
    """Converts each file with Kiln and compares the predictions of Keras for the result."""
    worst = 0.0
    for name, build in MODELS.items():
        recorded = load_file(FOLDER / f"{name}.safetensors")
        for ending in ["keras", "h5"]:
            with tempfile.TemporaryDirectory() as folder:
                folder = pathlib.Path(folder)
                source, whole, legacy = folder / f"source.{ending}", folder / "whole.keras", folder / "legacy.h5"
                source.write_bytes(gzip.decompress((FOLDER / f"{name}.{ending}.gz").read_bytes()))
                size = ["--input-shape", "5,4,2"] if name == "open_size" else []
                convert = lambda a, b, *more: subprocess.run([kiln, "convert", a, b, *more], check=True)
                convert(source, whole, *size)
                convert(source, legacy, *size)
                convert(source, folder / "kiln", *size)
                convert(folder / "kiln", folder / "only.weights.h5")
                loaded, of_h5 = keras.models.load_model(whole), keras.models.load_model(legacy)
                rebuilt = build()
                rebuilt.load_weights(folder / "only.weights.h5")
                of_json = keras.models.model_from_json((folder / "kiln" / "model.json").read_text())
                of_json.load_weights(folder / "only.weights.h5")
                with h5py.File(folder / "only.weights.h5") as file:
                    names = []
                    file.visititems(lambda path, item: names.append(path) if isinstance(item, h5py.Dataset) else None)
                    assert len(names) == len(loaded.weights), names
                for model in [loaded, of_h5, rebuilt, of_json]:
                    found = difference(model.predict(recorded["x"], verbose=0), recorded["y"])
                    worst = max(worst, found)
                    assert found < 1e-6, (name, ending, found)
                print(f"{name}.{ending}: {len(names)} weights, the same predictions in Keras")
    print(f"largest difference {worst:.1e} of the largest value")


if len(sys.argv) > 1:
    check(sys.argv[1])
else:
    record()
