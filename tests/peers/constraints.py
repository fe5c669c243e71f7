"""Records Keras 3's trainings with constraints as a fixture.

Install, in an environment of its own:  python3 -m venv keras && keras/bin/pip install tensorflow-cpu keras
Run:                                    keras/bin/python tests/peers/constraints.py > tests/fixtures/constraints.json

Samples and initial weights are computed by a formula, also in tests/constraints.rs. One layer with a constraint is frozen.
The second training has a moving average of the weights, with which Keras ends a training.
"""

import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers
from keras.constraints import MaxNorm, MinMaxNorm, NonNeg, UnitNorm

SAMPLES, BATCH, EPOCHS, CLASSES = 10, 4, 3, 3


def made_up(shape, seed):
    """Values between -1/2 and 1/2."""
    index = np.arange(np.prod(shape))
    return (((index * 37 + seed * 53 + 11) % 101) / 101 - 0.5).astype(np.float32).reshape(shape)


def trained(optimizer):
    """The model and the weights of a training."""
    model = keras.Sequential(
        [
            layers.Input((4, 4, 2)),
            layers.Conv2D(2, 3, use_bias=False, kernel_constraint=MaxNorm(0.5, axis=[0, 1, 2])),
            layers.BatchNormalization(gamma_constraint=UnitNorm(), beta_constraint="non_neg"),
            layers.Flatten(),
            layers.Dense(5, activation="tanh", kernel_constraint=UnitNorm(), bias_constraint=NonNeg()),
            layers.Dense(4, activation="tanh", kernel_constraint=UnitNorm(), trainable=False),
            layers.Dense(CLASSES, activation="softmax", kernel_constraint=MinMaxNorm(0.9, 1.0, 0.25, axis=-1)),
        ]
    )
    for seed, variable in enumerate(model.variables):
        variable.assign(made_up(variable.shape, seed + 1) ** 2 if "variance" in variable.path else made_up(variable.shape, seed + 1))
    model.compile(optimizer, "sparse_categorical_crossentropy")
    x = made_up((SAMPLES, 4, 4, 2), 0)
    history = model.fit(x, np.arange(SAMPLES) % CLASSES, batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=0)
    weights = {variable.path.split("/", 1)[-1]: variable.numpy().ravel().tolist() for variable in model.variables}
    return {"model": model.to_json(), "losses": history.history["loss"], "weights": weights}


fixture = {
    "keras": keras.__version__,
    "adam": trained(keras.optimizers.Adam(0.01)),
    "average": trained(keras.optimizers.SGD(0.1, momentum=0.9, use_ema=True, ema_momentum=0.5)),
}
json.dump(fixture, open(1, "w", closefd=False), indent=1)
