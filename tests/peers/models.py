"""Loads Keras' models in Kiln and Kiln's models in Keras, and compares trainings in both.

    python -m venv peers && peers/bin/pip install tensorflow-cpu keras tf-keras safetensors
    cargo build --release -p kiln-train
    peers/bin/python tests/peers/models.py target/release/kiln

Prints a line per comparison and exits with status 1 if one fails.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
import numpy as np
import tf_keras
from safetensors.numpy import load_file, save_file

KILN = sys.argv[1]
failed = []


def kiln(*arguments):
    done = subprocess.run([KILN, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"kiln {' '.join(map(str, arguments))}:\n{done.stderr}")


def compare(name, found, expected, tolerance):
    scale = np.abs(expected).max() or 1.0
    error = np.abs(np.asarray(found) - expected).max() / scale
    print(f"{'ok  ' if error <= tolerance else 'FAIL'} {name}: {error:.1e} of at most {tolerance:.0e}")
    if not error <= tolerance:
        failed.append(name)


def every_layer(k):
    """A model of every layer that Kiln reads from a Sequential model."""
    layers, regularizers = k.layers, k.regularizers
    return k.Sequential([
        layers.InputLayer(**({"shape": (12, 10, 3)} if k is keras else {"input_shape": (12, 10, 3)})),
        layers.Rescaling(0.5, offset=-0.1),
        layers.ZeroPadding2D(((1, 0), (2, 1))),
        layers.Conv2D(8, 3, padding="same", use_bias=False, kernel_initializer="he_normal",
                      kernel_regularizer=regularizers.L2(0.01), name="conv_a"),
        layers.BatchNormalization(name="norm_a"),
        layers.ReLU(),
        layers.Conv2D(6, (1, 3), strides=(2, 1), activation="elu", kernel_initializer="lecun_uniform", name="conv_b"),
        layers.LeakyReLU(),
        layers.MaxPooling2D(2, strides=1, padding="same"),
        layers.AveragePooling2D(2),
        layers.Dropout(0.25),
        layers.Conv2D(5, 2, activation="gelu", bias_initializer=k.initializers.Constant(0.1), name="conv_c"),
        layers.ELU(alpha=0.5),
        layers.GlobalAveragePooling2D(),
        layers.Dense(7, activation="tanh", kernel_initializer=k.initializers.TruncatedNormal(stddev=0.3), name="dense_a"),
        layers.Dense(4, name="dense_b"),
        layers.Softmax(),
    ], name="every_layer")


def randomized(model, seed):
    """Random weights that leave variances positive."""
    draw = np.random.default_rng(seed)
    for layer in model.layers:
        layer.set_weights([
            (draw.uniform(0.5, 1.5, w.shape) if "variance" in w.name or "gamma" in w.name
             else draw.normal(0, 0.3, w.shape)).astype("float32")
            for w in layer.weights
        ])
    return model


def weights_of(model):
    name = lambda variable: variable.name.split("/")[-1].split(":")[0]
    return {f"{layer.name}/{name(w)}": np.ascontiguousarray(w.numpy()) for layer in model.layers for w in layer.weights}


def with_weights(model, weights):
    for layer in model.layers:
        layer.set_weights([weights[f"{layer.name}/{w.name}"] for w in layer.weights])
    return model


def reads_what_keras_writes(folder):
    x = np.random.default_rng(1).normal(0, 1, (9, 12, 10, 3)).astype("float32")
    save_file({"x": x}, folder / "x.safetensors")
    for k, version in [(keras, "Keras 3"), (tf_keras, "Keras 2")]:
        model = randomized(every_layer(k), 2)
        (folder / "model.json").write_text(model.to_json())
        save_file(weights_of(model), folder / "w.safetensors")
        kiln("predict", folder / "model.json", "--weights", folder / "w.safetensors",
             "--input", folder / "x.safetensors", "--output", folder / "y.safetensors")
        compare(f"{version}'s model predicts the same in Kiln", load_file(folder / "y.safetensors")["y"],
                np.asarray(model(x, training=False)), 1e-5)


def keras_reads_what_kiln_writes(folder):
    draw = np.random.default_rng(3)
    x = draw.normal(0, 1, (32, 12, 10, 3)).astype("float32")
    save_file({"x": x, "y": draw.integers(0, 4, 32).astype("int32")}, folder / "xy.safetensors")
    save_file({"x": x}, folder / "x.safetensors")
    (folder / "model.json").write_text(every_layer(keras).to_json())
    out = folder / "out"
    kiln("train", folder / "model.json", "--data", folder / "xy.safetensors", "--epochs", 2, "--batch-size", 8,
         "--out", out)
    kiln("predict", out, "--input", folder / "x.safetensors", "--output", folder / "y.safetensors")
    model = keras.models.model_from_json((out / "model.json").read_text())
    with_weights(model, load_file(out / "weights.safetensors"))
    compare("Kiln's model predicts the same in Keras 3", load_file(folder / "y.safetensors")["y"],
            np.asarray(model(x, training=False)), 1e-5)


class Losses(keras.callbacks.Callback):
    """The loss of each batch: Keras' logs have the mean of the epoch so far."""

    def on_epoch_begin(self, epoch, logs=None):
        self.sum, self.count = 0.0, 0
        self.losses = getattr(self, "losses", [])

    def on_train_batch_end(self, batch, logs=None):
        samples = self.sizes[batch]
        self.losses.append((logs["loss"] * (self.count + samples) - self.sum) / samples)
        self.count += samples
        self.sum = logs["loss"] * self.count


def trains_as_keras(folder):
    draw = np.random.default_rng(4)
    x = draw.normal(0, 1, (50, 8, 8, 2)).astype("float32")
    classes = draw.integers(0, 3, 50)
    one_hot = np.eye(3, dtype="float32")[classes]
    optimizers = keras.optimizers
    # Keras 3 adds RMSprop's epsilon under the root, Kiln outside of it, as documented, so the root of Kiln's is used here.
    cases = [
        ("sgd", optimizers.SGD(0.01), "categorical_crossentropy", one_hot),
        ("adam", optimizers.Adam(), "sparse_categorical_crossentropy", classes.astype("int32")),
        ("rmsprop", optimizers.RMSprop(epsilon=1e-14), "categorical_crossentropy", one_hot),
        ("adagrad", optimizers.Adagrad(), "categorical_crossentropy", one_hot),
        ("adadelta", optimizers.Adadelta(), "categorical_crossentropy", one_hot),
        ("adamw", optimizers.AdamW(), "categorical_crossentropy", one_hot),
        ("nadam", optimizers.Nadam(), "categorical_crossentropy", one_hot),
        ("adam", optimizers.Adam(), "binary_crossentropy", one_hot),
        ("adam", optimizers.Adam(), "mean_squared_error", one_hot),
        ("adam", optimizers.Adam(), "mean_absolute_error", one_hot),
    ]
    for rule, optimizer, loss, y in cases:
        layers = keras.layers
        model = randomized(keras.Sequential([
            layers.Input((8, 8, 2)),
            layers.Conv2D(6, 3, use_bias=False, kernel_regularizer=keras.regularizers.L1L2(1e-3, 1e-2)),
            layers.BatchNormalization(),
            layers.Activation("sigmoid" if "mean" in loss else "relu"),
            layers.GlobalMaxPooling2D(),
            layers.Dense(3, activation="sigmoid" if loss == "binary_crossentropy" else "softmax"),
        ]), 5)
        (folder / "model.json").write_text(model.to_json())
        save_file(weights_of(model), folder / "w.safetensors")
        save_file({"x": x, "y": y}, folder / "xy.safetensors")
        kiln("train", folder / "model.json", "--weights", folder / "w.safetensors", "--data", folder / "xy.safetensors",
             "--no-shuffle", "--batch-size", 16, "--epochs", 3, "--optimizer", rule, "--loss", loss,
             "--learning-rate", float(optimizer.learning_rate.numpy()), "--out", folder / "out")
        model.compile(optimizer=optimizer, loss=loss)
        losses = Losses()
        losses.sizes = [16, 16, 16, 2]
        model.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0, callbacks=[losses])
        epochs = json.loads((folder / "out" / "history.json").read_text())["epochs"]
        found = [value for epoch in epochs for value in epoch["batch_losses"]]
        compare(f"{rule}, {loss}: the loss of each batch", found, np.array(losses.losses), 1e-4)
        weights = load_file(folder / "out" / "weights.safetensors")
        worst = max(np.abs(weights[name] - value).max() for name, value in weights_of(model).items())
        compare(f"{rule}, {loss}: the weights at the end", worst, np.float64(0.0), 1e-4)


with tempfile.TemporaryDirectory() as folder:
    for check in (reads_what_keras_writes, keras_reads_what_kiln_writes, trains_as_keras):
        check(Path(folder))
sys.exit(1 if failed else 0)
