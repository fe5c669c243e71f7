"""Records the decisions of Keras' EarlyStopping, ReduceLROnPlateau and ModelCheckpoint for made-up figures as a fixture.

Install, in an environment of its own:  python3 -m venv keras && keras/bin/pip install tensorflow-cpu keras
Run:                                    keras/bin/python tests/peers/callbacks.py > tests/fixtures/callbacks.json

Each callback is called at the end of each epoch with the figures of a case. A model that only has a
learning rate and one weight, the number of the epoch, replaces a trained one.
"""

import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

NOISY = [1.0, 0.9, 0.95, 0.9, 0.85, 0.86, 0.87, 0.7, 0.71, 0.72, 0.73, 0.74, 0.6, 0.61]
RISING = [0.1, 0.3, 0.29, 0.31, 0.2, 0.2, 0.32, 0.4, 0.39, 0.39]
CREEPING = [1.0, 0.99995, 0.9999, 0.99985, 0.9998, 0.5, 0.4999, 0.49985, 0.4998, 0.4, 0.39991, 0.3999]
TINY = [0.1, 0.1 - 1e-10, 0.1 - 2e-9, 0.1 - 1e-8, 0.1 - 2e-8, 0.1]
BROKEN = [0.5, float("nan"), 0.4, float("inf"), float("nan"), 0.45, 0.3, float("nan"), float("nan"), float("nan")]
FLAT = [0.5] * 12

EARLY_STOPPING = [
    (NOISY, {}),
    (NOISY, {"patience": 1}),
    (NOISY, {"patience": 2, "restore_best_weights": True}),
    (NOISY, {"patience": 3, "restore_best_weights": True}),
    (NOISY, {"patience": 4, "min_delta": 0.1}),
    (NOISY, {"patience": 2, "min_delta": -0.1, "restore_best_weights": True}),
    (NOISY, {"patience": 3, "baseline": 0.8, "restore_best_weights": True}),
    (NOISY, {"patience": 3, "baseline": 0.1, "restore_best_weights": True}),
    (NOISY, {"patience": 2, "start_from_epoch": 4, "restore_best_weights": True}),
    (NOISY, {"patience": 2, "start_from_epoch": 20, "restore_best_weights": True}),
    (NOISY, {"mode": "max", "patience": 2, "restore_best_weights": True}),
    (RISING, {"mode": "max", "patience": 2, "restore_best_weights": True}),
    (RISING, {"mode": "max", "patience": 3, "min_delta": 0.05}),
    (RISING, {"mode": "max", "patience": 5, "baseline": 0.35, "restore_best_weights": True}),
    (CREEPING, {"patience": 3, "min_delta": 1e-4, "restore_best_weights": True}),
    (TINY, {"patience": 2, "restore_best_weights": True}),
    (BROKEN, {"patience": 2, "restore_best_weights": True}),
    (BROKEN, {"patience": 1}),
    (FLAT, {"patience": 5, "restore_best_weights": True}),
    (FLAT[:1], {"restore_best_weights": True}),
]

REDUCE_LR = [
    (NOISY, {}),
    (NOISY, {"patience": 1}),
    (NOISY, {"patience": 0}),
    (NOISY, {"patience": 2, "factor": 0.5, "cooldown": 2}),
    (NOISY, {"patience": 1, "factor": 0.5, "cooldown": 1, "min_lr": 0.02}),
    (RISING, {"mode": "max", "patience": 1, "factor": 0.2}),
    (RISING, {"mode": "max", "patience": 2, "min_delta": 0.05, "factor": 0.25}),
    (CREEPING, {"patience": 2, "factor": 0.5}),
    (CREEPING, {"patience": 2, "factor": 0.5, "min_delta": 0.0}),
    (TINY, {"patience": 1, "factor": 0.5, "min_delta": 0.0}),
    (BROKEN, {"patience": 1, "factor": 0.5}),
    (FLAT, {"patience": 2, "factor": 0.1, "min_lr": 0.01}),
    (FLAT, {"patience": 1, "factor": 0.1, "min_lr": 0.01, "cooldown": 3}),
    (FLAT, {"patience": 2, "factor": 0.0}),
]

CHECKPOINT = [
    (NOISY, {}),
    (NOISY, {"save_best_only": True}),
    (NOISY, {"save_best_only": True, "initial_value_threshold": 0.75}),
    (RISING, {"save_best_only": True, "mode": "max"}),
    (TINY, {"save_best_only": True}),
    (BROKEN, {"save_best_only": True}),
]


class Model:
    """The part of a model that callbacks use."""

    def __init__(self):
        self.optimizer = keras.optimizers.SGD(learning_rate=0.1)
        self.stop_training = False
        self.weight = 0
        self.saved = []

    def get_weights(self):
        return [np.array(self.weight)]

    def set_weights(self, weights):
        self.weight = int(weights[0])

    def save(self, path, **_):
        self.saved.append(path)


def told(callback, values, decision):
    """Calls a callback at the end of epochs until it stops training. Returns `decision` of the model after each."""
    model = Model()
    callback.set_model(model)
    callback.on_train_begin()
    decisions = []
    for epoch, value in enumerate(values):
        model.weight = epoch + 1
        callback.on_epoch_begin(epoch)
        callback.on_epoch_end(epoch, {"val_loss": value})
        decisions.append(decision(model))
        if model.stop_training:
            break
    callback.on_train_end()
    return model, decisions


def case(values, arguments, decided):
    names = ["nan" if np.isnan(value) else "inf" if np.isinf(value) else value for value in values]
    return {"values": names, "arguments": arguments, **decided}


def early_stopping(values, arguments):
    callback = keras.callbacks.EarlyStopping(**arguments)
    model, epochs = told(callback, values, lambda model: None)
    best = None if callback.best is None else float(callback.best)
    return case(values, arguments, {
        "epochs": len(epochs), "stopped": model.stop_training, "best": best, "weights_of_epoch": model.weight,
    })


def reduce_lr(values, arguments):
    callback = keras.callbacks.ReduceLROnPlateau(**arguments)
    _, rates = told(callback, values, lambda model: float(model.optimizer.learning_rate.numpy()))
    return case(values, arguments, {"learning_rates": rates})


def checkpoint(values, arguments):
    callback = keras.callbacks.ModelCheckpoint("unused/{epoch:02d}.keras", **arguments)
    model, _ = told(callback, values, lambda model: None)
    return case(values, arguments, {"saved": [os.path.basename(path)[:2] for path in model.saved]})


def listed(cases):
    return "[\n  " + ",\n  ".join(json.dumps(each, allow_nan=False) for each in cases) + "\n ]"


print(f'{{"keras": "{keras.__version__}",')
print(' "early_stopping":', listed(early_stopping(*each) for each in EARLY_STOPPING) + ",")
print(' "reduce_lr_on_plateau":', listed(reduce_lr(*each) for each in REDUCE_LR) + ",")
print(' "model_checkpoint":', listed(checkpoint(*each) for each in CHECKPOINT) + "}")
