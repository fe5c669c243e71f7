"""Records Keras 3's trainings with regularizers as a fixture.

Install, in an environment of its own:  python3 -m venv keras && keras/bin/pip install tensorflow-cpu keras
Run:                                    keras/bin/python tests/peers/regularizers.py > tests/fixtures/regularizers.json

Samples and initial weights are computed by a formula, also in tests/regularizers.rs. One layer with a regularizer is
frozen, and the last batch of an epoch is smaller.
"""

import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers
from keras.regularizers import L1, L1L2, L2

SAMPLES, BATCH, EPOCHS, CLASSES = 10, 4, 3, 3


def made_up(shape, seed):
    """Values between -1/2 and 1/2."""
    index = np.arange(np.prod(shape))
    return (((index * 37 + seed * 53 + 11) % 101) / 101 - 0.5).astype(np.float32).reshape(shape)


class BatchLosses(keras.callbacks.Callback):
    """The loss of each batch: Keras reports the mean of the epoch so far."""

    def __init__(self):
        super().__init__()
        self.losses = []

    def on_train_batch_end(self, batch, logs=None):
        seen = min((batch + 1) * BATCH, SAMPLES)
        total = logs["loss"] * seen
        before = self.before if batch else 0.0
        self.losses.append((total - before) / (seen - batch * BATCH))
        self.before = total


model = keras.Sequential(
    [
        layers.Input((4, 4, 1)),
        layers.Conv2D(2, 3, activation="relu", kernel_regularizer=L2(0.05)),
        layers.Flatten(),
        layers.Dense(5, activation="tanh", kernel_regularizer=L1(0.02), bias_regularizer=L2(0.03)),
        layers.Dense(4, activation="tanh", kernel_regularizer=L2(0.5), trainable=False),
        layers.Dense(CLASSES, activation="softmax", kernel_regularizer=L1L2(0.01, 0.02)),
    ]
)
for seed, variable in enumerate(model.variables):
    variable.assign(made_up(variable.shape, seed + 1))
model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
x = made_up((SAMPLES, 4, 4, 1), 0)
y = np.arange(SAMPLES) % CLASSES
untrained = model.evaluate(x, y, batch_size=BATCH, verbose=0)
batches = BatchLosses()
history = model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=0, callbacks=[batches])
fixture = {
    "keras": keras.__version__,
    "untrained_loss": untrained,
    "batch_losses": batches.losses,
    "losses": history.history["loss"],
    "trained_loss": model.evaluate(x, y, batch_size=BATCH, verbose=0),
    "weights": {variable.path: variable.numpy().ravel().tolist() for variable in model.variables},
}
json.dump(fixture, open(1, "w", closefd=False), indent=1)
