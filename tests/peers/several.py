"""Records models with several inputs and outputs, their training and their files, and opens Kiln's:
`tests/fixtures/several/`.

Install, in an environment of its own:
    python3 -m venv keras && keras/bin/pip install tensorflow-cpu keras safetensors
Run:
    keras/bin/python tests/peers/several.py                       # records
    keras/bin/python tests/peers/several.py target/debug/kiln     # opens what `kiln convert` writes

`two.txt` has Keras' summary. Each model is saved as `MODEL.keras`, `MODEL.h5` and `MODEL.weights.h5`, compressed. `recorded.safetensors` has the samples
`MODEL.xI`, the targets `MODEL.tI`, the sample weights `MODEL.wI`, the predictions `MODEL.yI`, the initial weights
`MODEL/PATH`, and for each case of training the weights `CASE/PATH` after 2 epochs of 2 steps. The cases are in the
metadata: the arguments of compile, the history and the result of evaluate. All batches have one size, because Keras on
TensorFlow averages the losses of outputs over batches, not samples. Recorded with Keras 3.15.1.
"""

import gzip
import json
import os
import pathlib
import subprocess
import sys
import tempfile

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
import numpy as np
from safetensors.numpy import load_file, save_file

FOLDER = pathlib.Path(__file__).parent.parent / "fixtures" / "several"
SAMPLES, BATCH = 8, 4
L = keras.layers
Input, Model = keras.Input, keras.Model


def two():
    """An image and numbers; classes, positions with a regularizer, and properties that are an inner node."""
    image, numbers = Input([5, 4, 2], name="image"), Input([3], name="numbers")
    x = L.Conv2D(3, 3, activation="relu", name="conv")(image)
    x = L.Concatenate(name="both")([L.GlobalAveragePooling2D(name="pool")(x), numbers])
    properties = L.Dense(4, activation="sigmoid", name="properties")(x)
    position = L.Dense(2, kernel_regularizer=keras.regularizers.L2(0.03), name="position")(properties)
    classes = L.Dense(3, activation="softmax", name="classes")(L.Concatenate(name="all")([x, position]))
    return Model([image, numbers], [classes, position, properties], name="two")


def pair():
    a, b = Input([3], name="a"), Input([2], name="b")
    both = L.Concatenate(name="both")([a, b])
    return Model([a, b], [L.Dense(2, activation="tanh", name="own")(both), both], name="pair")


def nested():
    """A model of two inputs and outputs within, called twice; operators; merges of one input; an input that is not used."""
    x, y, unused = Input([3], name="x"), Input([2], name="y"), Input([4], name="unused")
    inner = pair()
    own, both = inner([x, y])
    r = L.Dense(2, name="r")(L.Maximum(name="one")([both]))
    again, other = inner([x, r + own])
    last = L.Dense(3, activation="softmax", name="last")(L.Concatenate(name="single")([other * 0.5]))
    return Model([x, y, unused], [last, again, r], name="nested")


def items():
    """Indices and slices of the outputs of layers."""
    x = Input([4, 3], name="x")
    dense = L.Dense(5, activation="tanh", name="dense")(x)
    last = L.Dense(3, activation="softmax", name="last")(dense[:, 0])
    return Model(x, [last, dense[:, 1:3, -1], dense[..., 2:]], name="items")


MODELS = {"two": two, "nested": nested, "items": items}
SGD, ADAM = lambda: keras.optimizers.SGD(0.1), lambda: keras.optimizers.Adam(0.05)
CROSS, MSE, BINARY = "sparse_categorical_crossentropy", "mean_squared_error", "binary_crossentropy"
CASES = [
    {"model": "two", "optimizer": "sgd", "loss": [CROSS, MSE, BINARY]},
    {
        "model": "two",
        "optimizer": "adam",
        "loss": {"classes": CROSS, "position": MSE, "properties": BINARY},
        "loss_weights": {"classes": 0.7, "position": 2.0, "properties": 0.25},
        "metrics": {"classes": ["accuracy"], "position": ["mean_absolute_error", "mean_squared_error"]},
        "weights": 1,
    },
    {
        "model": "two",
        "optimizer": "sgd",
        "loss": {"classes": None, "position": MSE, "properties": BINARY},
        "loss_weights": {"classes": 1.0, "position": 0.5, "properties": 1.0},
        "metrics": {"properties": ["binary_accuracy"]},
    },
    {"model": "two", "optimizer": "adam", "loss": {"classes": CROSS, "position": None, "properties": None}},
    {"model": "nested", "optimizer": "adam", "loss": [CROSS, MSE, MSE], "loss_weights": [1.0, 0.5, 2.0], "weights": 3},
    {"model": "items", "optimizer": "sgd", "loss": [CROSS, MSE, MSE]},
    {"model": "two", "optimizer": "sgd", "loss": [MSE, MSE, MSE], "metrics": {"position": ["mean_absolute_error"]}},
]


def weights(model, prefix=""):
    found = {}
    for layer in model.layers:
        path = f"{prefix}{layer.name}/"
        if isinstance(layer, Model):
            found |= weights(layer, path)
        else:
            found |= {path + weight.name: np.ascontiguousarray(weight.numpy()) for weight in layer.weights}
    return found


def data(model, draw):
    x = [draw.uniform(-1, 1, size=(SAMPLES, *input.shape[1:])).astype("float32") for input in model.inputs]
    targets = [draw.integers(0, 3, size=SAMPLES).astype("int32")]
    targets += [draw.integers(0, 2, size=(SAMPLES, *y.shape[1:])).astype("float32") for y in model.outputs[1:]]
    return x, targets


def record():
    FOLDER.mkdir(exist_ok=True)
    tensors, initial, sets = {}, {}, {}
    for name, build in MODELS.items():
        keras.utils.clear_session()
        draw = np.random.default_rng(5)
        model = build()
        initial[name] = [draw.uniform(-0.7, 0.9, size=w.shape).astype("float32") for w in model.get_weights()]
        model.set_weights(initial[name])
        x, targets = sets[name] = data(model, draw)
        w = [draw.uniform(0, 2, size=SAMPLES).astype("float32") for _ in targets]
        sets[name] = (x, targets, w)
        y = [np.ascontiguousarray(values) for values in model.predict(x, verbose=0)]
        for key, arrays in {"x": x, "t": targets, "w": w, "y": y}.items():
            tensors |= {f"{name}.{key}{i}": array for i, array in enumerate(arrays)}
        tensors |= {f"{name}/{path}": value for path, value in weights(model).items()}
        if name == "two":
            lines = []
            model.summary(print_fn=lines.append)
            (FOLDER / "two.txt").write_text("\n".join(lines))
        for ending in ["keras", "h5", "weights.h5"]:
            path = FOLDER / f"{name}.{ending}"
            model.save_weights(path) if ending == "weights.h5" else model.save(path)
            path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
            path.unlink()
    cases = [train(number, case, initial, sets, tensors) for number, case in enumerate(CASES)]
    save_file(tensors, FOLDER / "recorded.safetensors", {"cases": json.dumps(cases)})
    for path in sorted(FOLDER.iterdir()):
        print(f"{path.name}: {path.stat().st_size} bytes")


def train(number, case, initial, sets, tensors):
    keras.utils.clear_session()
    model = MODELS[case["model"]]()
    model.set_weights(initial[case["model"]])
    x, targets, w = sets[case["model"]]
    if case["loss"] == [MSE, MSE, MSE]:
        targets = [np.eye(3, dtype="float32")[targets[0]], *targets[1:]]
    optimizer = {"sgd": SGD, "adam": ADAM}[case["optimizer"]]()
    model.compile(optimizer, case["loss"], loss_weights=case.get("loss_weights"), metrics=case.get("metrics"))
    sample_weight = {0: None, 1: w[0], 3: w}[case.get("weights", 0)]
    fit = dict(epochs=2, batch_size=BATCH, shuffle=False, verbose=0)
    history = model.fit(x, targets, sample_weight=sample_weight, **fit).history
    score = model.evaluate(x, targets, sample_weight=sample_weight, batch_size=SAMPLES, verbose=0, return_dict=True)
    tensors |= {f"{number}/{path}": value for path, value in weights(model).items()}
    print(number, history)
    return case | {"history": history, "evaluate": score}


def check(kiln):
    """Converts each file with Kiln and compares the predictions of Keras for the result."""
    recorded = load_file(FOLDER / "recorded.safetensors")
    worst = 0.0
    for name, build in MODELS.items():
        arrays = lambda key: [recorded[f"{name}.{key}{i}"] for i in range(3) if f"{name}.{key}{i}" in recorded]
        for ending in ["keras", "h5"] if name == "two" else ["keras"]:  # Keras does not read its legacy files of operators
            with tempfile.TemporaryDirectory() as folder:
                folder = pathlib.Path(folder)
                source = folder / f"source.{ending}"
                source.write_bytes(gzip.decompress((FOLDER / f"{name}.{ending}.gz").read_bytes()))
                convert = lambda a, b: subprocess.run([kiln, "convert", a, b], check=True)
                convert(source, folder / "whole.keras")
                convert(source, folder / "kiln")
                convert(folder / "kiln", folder / "only.weights.h5")
                loaded, rebuilt = keras.models.load_model(folder / "whole.keras"), build()
                rebuilt.load_weights(folder / "only.weights.h5")
                of_json = keras.models.model_from_json((folder / "kiln" / "model.json").read_text())
                of_json.load_weights(folder / "only.weights.h5")
                for model in [loaded, rebuilt, of_json]:
                    assert model.output_names == rebuilt.output_names
                    assert [i.name for i in model.inputs] == [i.name for i in rebuilt.inputs]
                    for found, expected in zip(model.predict(arrays("x"), verbose=0), arrays("y"), strict=True):
                        worst = max(worst, float(np.abs(found - expected).max() / np.abs(expected).max()))
                assert worst < 1e-6, worst
                print(f"{name}.{ending}: the same predictions in Keras")
    print(f"largest difference {worst:.1e} of the largest value")


if len(sys.argv) > 1:
    check(sys.argv[1])
else:
    record()
