"""Every network of `keras.applications` in Kiln: loads it, predicts 2 images, and compares with Keras.

Install, in an environment of its own:
    python3 -m venv keras && keras/bin/pip install tensorflow-cpu keras safetensors
Run:
    keras/bin/python tests/peers/applications.py target/release/kiln             # a table of all networks
    keras/bin/python tests/peers/applications.py target/release/kiln ResNet50    # some of them
    keras/bin/python tests/peers/applications.py target/release/kiln --train     # with a training step of each
    keras/bin/python tests/peers/applications.py --keep FOLDER                   # only writes the files

A network is built with `weights=None`, 10 classes and the smallest images it allows (at most 96 x 96), and saved as
`.keras`, as JSON, as `.weights.h5` and as legacy `.h5`. Weights are drawn by a formula: `kernel` is uniform with the
variance of He's initialization, statistics and factors are near 1, offsets near 0. `kiln predict` reads each file;
the outputs are logits, since probabilities of random weights are 0 and 1. `difference` is the largest difference of a
prediction from Keras', relative to the largest value of all predictions.

With `--train`, `kiln train` computes one step of SGD on 8 images of 96 x 96, batch normalization in training mode and dropout
switched off, and so does Keras, with 32-bit and with 64-bit floats. `step` is the norm of the difference of all trained weights
from those of the 64-bit step, relative to the norm of that step, and `Keras' step` the same of Keras with 32-bit floats: random
weights amplify rounding.

Networks of more than 150 million parameters are skipped.
"""

import argparse
import inspect
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
import numpy as np
from safetensors.numpy import load_file, save_file

MOST_PARAMETERS = 150_000_000
SIZES = [32, 64, 96]
TRAIN_SIZE, LEARNING_RATE = 96, 0.01


def uniform(shape, index):
    """Numbers from -1 to 1 by a formula."""
    count = np.arange(np.prod(shape, dtype=np.int64), dtype=np.float64)
    values = np.sin(count * 12.9898 + index * 78.233) * 43758.5453
    return (2 * (values - np.floor(values)) - 1).reshape(shape).astype("float32")


def drawn(weight, index):
    name, shape = weight.path.split("/")[-1], tuple(weight.shape)
    noise = uniform(shape, index)
    if name in ["kernel", "depthwise_kernel", "pointwise_kernel"]:
        inputs = np.prod(shape[:2]) if name == "depthwise_kernel" else np.prod(shape[:-1])
        return noise * np.sqrt(6 / inputs).astype("float32")
    if name in ["gamma", "moving_variance", "variance"]:
        return 1 + noise / 5
    return noise / 10


def build(name):
    """The network for the smallest images it allows, or None if it is too large."""
    function = getattr(keras.applications, name)
    for size in SIZES:
        keras.utils.clear_session()
        try:
            model = function(weights=None, input_shape=(size, size, 3), classes=10, classifier_activation=None)
        except ValueError as error:
            problem = error
            continue
        if model.count_params() > MOST_PARAMETERS:
            return None, f"{model.count_params() / 1e6:.0f} million parameters"
        return model, size
    return None, str(problem).splitlines()[0]


def write(name, model, size, folder):
    model.set_weights([drawn(weight, index) for index, weight in enumerate(model.weights)])
    images = (uniform((2, size, size, 3), 1) + 1) * 127.5
    save_file({"x": images}, folder / f"{name}_x.safetensors")
    save_file({"y": np.ascontiguousarray(model.predict(images, verbose=0))}, folder / f"{name}_y.safetensors")
    model.save(folder / f"{name}.keras")
    model.save(folder / f"{name}.h5")
    model.save_weights(folder / f"{name}.weights.h5")
    (folder / f"{name}.json").write_text(model.to_json())


def difference(kiln, name, folder, model, *weights):
    """The difference of Kiln's predictions, or its error."""
    output = folder / "y.safetensors"
    output.unlink(missing_ok=True)
    call = [kiln, "predict", folder / model, *weights, "--input", folder / f"{name}_x.safetensors", "--output", output]
    run = subprocess.run(call, capture_output=True, text=True, env={"KILN_DEVICE": "cpu", **os.environ})
    if run.returncode != 0:
        return run.stderr.strip().splitlines()[0].removeprefix(f"error: {folder / model}: ").removeprefix("error: ")
    found, expected = load_file(output)["y"], load_file(folder / f"{name}_y.safetensors")["y"]
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def of_layer(path):
    """The layer and the variable, without the models that a layer is in and Keras' numbers of variables without a name."""
    return re.sub(r"/variable_\d+$", "/variable", "/".join(path.split("/")[-2:]))


def step(kiln, name, folder):
    """One step of SGD in both: the differences of Kiln's and of Keras' weights from those of 64-bit floats."""
    keras.utils.clear_session()
    size = max(TRAIN_SIZE, build(name)[1])
    function = getattr(keras.applications, name)
    model = function(weights=None, input_shape=(size, size, 3), classes=10, classifier_activation=None)
    # Dropout and stochastic depth draw different numbers.
    config = re.sub(r'"(rate|drop_path_rate)": [0-9.e-]+', r'"\1": 0.0', model.to_json())
    start = [drawn(weight, index) for index, weight in enumerate(model.weights)]
    images, labels = (uniform((8, size, size, 3), 2) + 1) * 127.5, np.arange(8, dtype="int32")

    def stepped(dtype):
        keras.backend.set_floatx(dtype)
        model = keras.models.model_from_json(config.replace("float32", dtype))
        model.set_weights(start)
        for layer in model.layers:
            if isinstance(layer, keras.layers.Normalization):
                layer.finalize_state()
        if dtype == "float32":
            model.save_weights(folder / "train.weights.h5")
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(LEARNING_RATE), loss)
        model.fit(images.astype(dtype), labels, batch_size=8, epochs=1, verbose=0)
        keras.backend.set_floatx("float32")
        return model.get_weights()

    single, double = stepped("float32"), stepped("float64")
    save_file({"x": images, "y": labels}, folder / "data.safetensors")
    (folder / "train.json").write_text(config)
    shutil.rmtree(folder / "run", ignore_errors=True)
    call = [kiln, "train", folder / "train.json", "--data", folder / "data.safetensors", "--out", folder / "run"]
    call += ["--weights", folder / "train.weights.h5", "--epochs", "1", "--batch-size", "8", "--no-shuffle"]
    call += ["--optimizer", "sgd", "--learning-rate", str(LEARNING_RATE), "--from-logits"]
    run = subprocess.run(call, capture_output=True, text=True, env={"KILN_DEVICE": "cpu", **os.environ})
    if run.returncode != 0:
        return run.stderr.strip().splitlines()[0].removeprefix("error: ")
    found = {of_layer(path): value for path, value in load_file(folder / "run/weights.safetensors").items()}
    squares = np.zeros(3)
    for weight, before, by_keras, exact in zip(model.weights, start, single, double):
        if weight.trainable:
            by_kiln = found[of_layer(weight.path)]
            squares += [np.square(value - exact).sum() for value in (before, by_kiln, by_keras)]
    return (squares[1] / squares[0]) ** 0.5, (squares[2] / squares[0]) ** 0.5


def row(kiln, name, folder, train):
    model, size = build(name)
    if model is None:
        return f"| {name} | | skipped: {size} | |"
    write(name, model, size, folder)
    start = f"| {name} | {model.count_params() / 1e6:.1f} | {size} x {size} |"
    if kiln is None:
        return start
    remark = ""
    weights = ["--weights", folder / f"{name}.weights.h5"]
    found = [
        difference(kiln, name, folder, f"{name}.keras"),
        difference(kiln, name, folder, f"{name}.json", *weights),
    ]
    try:
        keras.models.load_model(folder / f"{name}.h5", compile=False)
        found.append(difference(kiln, name, folder, f"{name}.h5"))
    except Exception:  # Keras cannot load its own legacy file of a model with operators such as `x + y`.
        remark = ", without its `.h5`"
    refused = [problem for problem in found if isinstance(problem, str)]
    line = f"{start} {refused[0] if refused else f'{max(found):.1e}{remark}'} |"
    if not train:
        return line
    found = step(kiln, name, folder)
    return f"{line} {found} | |" if isinstance(found, str) else f"{line} {found[0]:.1e} | {found[1]:.1e} |"


parser = argparse.ArgumentParser()
parser.add_argument("--keep", type=pathlib.Path, help="the folder of the files, which are deleted otherwise")
parser.add_argument("--train", action="store_true", help="also compare a training step")
parser.add_argument("kiln", nargs="?", help="the program `kiln`")
parser.add_argument("names", nargs="*", help="the networks (all by default)")
arguments = parser.parse_args()
known = {}
for _, module in inspect.getmembers(keras.applications, inspect.ismodule):
    known |= {name: item for name, item in vars(module).items() if inspect.isfunction(item) and name[0].isupper()}
names = arguments.names or sorted(name for name in known if hasattr(keras.applications, name))
columns = ["network", "million parameters", "images", "difference"]
columns += ["step", "Keras' step"] if arguments.train else []
print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)


def agrees(line):
    try:
        return float(line.split("|")[4].split(",")[0]) <= 1e-4
    except ValueError:
        return False


agree = 0
for name in names:
    folder = arguments.keep or pathlib.Path(tempfile.mkdtemp())
    folder.mkdir(exist_ok=True)
    line = row(arguments.kiln, name, folder, arguments.train)
    agree += agrees(line)
    print(line, flush=True)
    if arguments.keep is None:
        shutil.rmtree(folder)
print(f"\n{agree} of {len(names)} networks agree")
