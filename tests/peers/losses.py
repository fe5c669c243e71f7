"""Records Keras' losses, metrics and weights in a training step: `tests/fixtures/losses.safetensors`.

Install, in an environment of its own:  python3 -m venv keras && keras/bin/pip install tensorflow-cpu keras
Run:                                    keras/bin/python tests/peers/losses.py

A model of one Dense layer is trained for one step of SGD with learning rate 1 on seven samples. Recorded are the figures of the
batch before the step, and the weights after it. Recorded with Keras 3.15.1 on TensorFlow 2.21.0.
"""

import keras
import numpy as np

from recorded import save

SAMPLES, INPUTS = 7, 4
LOSSES = {
    "categorical_crossentropy": keras.losses.CategoricalCrossentropy,
    "sparse_categorical_crossentropy": keras.losses.SparseCategoricalCrossentropy,
    "binary_crossentropy": keras.losses.BinaryCrossentropy,
    "mean_squared_error": keras.losses.MeanSquaredError,
    "mean_absolute_error": keras.losses.MeanAbsoluteError,
}
METRICS = {
    "accuracy": lambda sparse: "accuracy",
    "top_k_categorical_accuracy": lambda sparse: (
        keras.metrics.SparseTopKCategoricalAccuracy if sparse else keras.metrics.TopKCategoricalAccuracy
    )(k=2, name="top_k_categorical_accuracy"),
    "mean_squared_error": lambda sparse: keras.metrics.MeanSquaredError(name="mean_squared_error"),
    "mean_absolute_error": lambda sparse: keras.metrics.MeanAbsoluteError(name="mean_absolute_error"),
}


def case(loss, activation, outputs=3, labels="one_hot", metrics=(), weights=None, class_weight=None, plain=False, **options):
    """One step. `labels` are one_hot, classes, bits (0 or 1 for each output) or quantities.

    On TensorFlow, a loss uses the logits of any softmax or sigmoid, even of one that does not match it. With `plain` it
    finds none, and uses the probabilities.
    """
    draw = np.random.default_rng(3)
    x = draw.normal(size=[SAMPLES, INPUTS]).astype("float32")
    classes = draw.integers(0, outputs, size=SAMPLES)
    y = {
        "one_hot": np.eye(outputs, dtype="float32")[classes],
        "classes": classes.astype("int32"),
        "bits": draw.integers(0, 2, size=[SAMPLES, outputs]).astype("float32"),
        "quantities": draw.normal(size=[SAMPLES, outputs]).astype("float32"),
    }[labels]
    kernel = draw.normal(size=[INPUTS, outputs]).astype("float32")
    bias = draw.normal(size=[outputs]).astype("float32")
    sample_weight = draw.uniform(0.0, 3.0, size=SAMPLES).astype("float32") if weights else None

    layer = keras.layers.Dense(outputs, activation=activation)
    model = keras.Sequential([keras.Input([INPUTS]), layer])
    if plain:
        model.add(keras.layers.Rescaling(1.0))
    layer.set_weights([kernel, bias])
    measured = [METRICS[name](labels == "classes") for name in metrics]
    model.compile(optimizer=keras.optimizers.SGD(1.0), loss=LOSSES[loss](**options), metrics=measured)
    logs = model.train_on_batch(x, y, sample_weight=sample_weight, class_weight=class_weight, return_dict=True)
    after = [np.asarray(value) for value in layer.get_weights()]
    description = {
        "loss": loss, "activation": activation, "outputs": outputs, "labels": labels, "metrics": metrics,
        "class_weight": class_weight and sorted(class_weight.items()), **options,
        "figures": {name: float(value) for name, value in logs.items()},
    }
    arrays = {"x": x, "y": y, "kernel": kernel, "bias": bias, "kernel_after": after[0], "bias_after": after[1]}
    if weights:
        arrays["sample_weight"] = sample_weight
    return description, arrays


ALL = ["accuracy", "top_k_categorical_accuracy", "mean_squared_error", "mean_absolute_error"]
save("losses", [
    case("categorical_crossentropy", "softmax", metrics=ALL),
    case("categorical_crossentropy", "softmax", metrics=["accuracy"], label_smoothing=0.2),
    case("categorical_crossentropy", "linear", metrics=["accuracy"], from_logits=True, label_smoothing=0.1),
    case("categorical_crossentropy", "sigmoid", metrics=ALL, plain=True),
    case("categorical_crossentropy", "softmax", metrics=["accuracy"], weights=True),
    case("sparse_categorical_crossentropy", "softmax", labels="classes", metrics=ALL[:2]),
    case("sparse_categorical_crossentropy", "sigmoid", labels="classes", metrics=ALL[:2], plain=True),
    case("sparse_categorical_crossentropy", "softmax", labels="classes", class_weight={1: 3.0, 2: 0.5}),
    case("categorical_crossentropy", "softmax", class_weight={0: 0.25, 2: 2.0}),
    case("binary_crossentropy", "sigmoid", outputs=1, labels="bits", metrics=["accuracy", "mean_absolute_error"]),
    case("binary_crossentropy", "sigmoid", labels="bits", metrics=["accuracy"], label_smoothing=0.2),
    case("binary_crossentropy", "linear", labels="bits", from_logits=True),
    case("binary_crossentropy", "softmax", labels="bits", plain=True),
    case("binary_crossentropy", "sigmoid", outputs=1, labels="bits", class_weight={1: 4.0}),
    case("binary_crossentropy", "sigmoid", outputs=70, labels="bits", metrics=["mean_absolute_error"]),
    case("mean_squared_error", "linear", labels="quantities", metrics=["mean_absolute_error"]),
    case("mean_squared_error", "linear", outputs=1, labels="quantities", weights=True),
    case("mean_absolute_error", "tanh", labels="quantities", metrics=["mean_squared_error"]),
    case("mean_absolute_error", "linear", outputs=130, labels="quantities"),
])
