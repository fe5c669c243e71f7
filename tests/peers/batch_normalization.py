"""Records three training steps of a network with batch normalization in Keras as a fixture.

Install, in an environment of its own:
    python3 -m venv keras && keras/bin/pip install tensorflow-cpu keras tf_keras safetensors
Run:
    keras/bin/python tests/peers/batch_normalization.py tests/fixtures/batch_normalization.safetensors

The network has a layer of each kind: after a convolution, without gamma and frozen with other statistics than it begins
with, after a dense layer. Weights are in `initial/` and `final/`; the metadata have the model as written by Keras 3 and
Keras 2, and the loss of each step.
"""

import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tf_keras
from safetensors.numpy import save_file

BATCH_SIZE, STEPS, LEARNING_RATE = 16, 3, 0.1


def model(k, input_layer):
    layers = k.layers
    return k.Sequential(
        [
            input_layer,
            layers.Conv2D(5, 3, name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.Activation("relu", name="relu"),
            layers.BatchNormalization(scale=False, epsilon=1e-2, trainable=False, name="frozen"),
            layers.Flatten(name="flatten"),
            layers.Dense(3, name="dense"),
            layers.BatchNormalization(momentum=0.8, name="dense_norm"),
            layers.Activation("softmax", name="softmax"),
        ],
        name="batch_normalization",
    )


def weights(model, prefix):
    named = {f"{layer.name}/{v.name}": v for layer in model.layers for v in layer.variables}
    return {f"{prefix}/{name}": np.ascontiguousarray(variable.numpy()) for name, variable in named.items()}


class Losses(keras.callbacks.Callback):
    """The loss of each batch: Keras reports the mean so far."""

    def __init__(self):
        super().__init__()
        self.sum, self.losses = 0.0, []

    def on_train_batch_end(self, batch, logs=None):
        total = logs["loss"] * (batch + 1)
        self.losses.append(total - self.sum)
        self.sum = total


def main():
    keras.utils.set_random_seed(1)
    random = np.random.default_rng(1)
    network = model(keras, keras.layers.Input((6, 6, 2)))
    frozen = network.get_layer("frozen")
    frozen.set_weights([random.normal(0, 0.3, 5), random.normal(0.3, 0.3, 5), random.uniform(0.2, 2, 5)])
    x = random.normal(0.5, 1, (BATCH_SIZE * STEPS, 6, 6, 2)).astype(np.float32)
    labels = random.integers(0, 3, BATCH_SIZE * STEPS).astype(np.int32)
    tensors = {"x": x, "labels": labels, **weights(network, "initial")}
    optimizer = keras.optimizers.SGD(LEARNING_RATE)
    network.compile(optimizer, loss="sparse_categorical_crossentropy", jit_compile=False)
    losses = Losses()
    network.fit(x, labels, BATCH_SIZE, shuffle=False, verbose=0, callbacks=[losses])
    tensors |= weights(network, "final")
    tensors["predictions"] = network.predict(x, verbose=0)
    metadata = {
        "model": network.to_json(),
        "keras_2": model(tf_keras, tf_keras.layers.InputLayer((6, 6, 2))).to_json(),
        "losses": json.dumps(losses.losses),
    }
    save_file(tensors, sys.argv[1], metadata)


if __name__ == "__main__":
    main()
