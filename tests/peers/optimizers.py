"""Records Keras' optimizers, schedules and clipping: `tests/fixtures/optimizers.safetensors`.

Install, in an environment of its own:  python3 -m venv keras && keras/bin/pip install tensorflow-cpu keras
Run:                                    keras/bin/python tests/peers/optimizers.py

Recorded with Keras 3.15.1 on TensorFlow 2.21.0.
"""

import keras
import numpy as np
from keras.optimizers import schedules

from recorded import save

STEPS, PARAMETERS = 8, 64

OPTIMIZERS = [
    ("adam", {}),
    ("adam", {"amsgrad": True, "learning_rate": 0.01}),
    ("adamw", {}),
    ("adamw", {"weight_decay": 0.5, "learning_rate": 0.1, "amsgrad": True}),
    ("nadam", {}),
    ("nadam", {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-3, "learning_rate": 0.01}),
    ("rmsprop", {}),
    ("rmsprop", {"momentum": 0.9, "learning_rate": 0.01}),
    ("rmsprop", {"centered": True, "rho": 0.8, "epsilon": 1e-3}),
    ("rmsprop", {"centered": True, "momentum": 0.5, "epsilon": 1e-3}),
    ("adagrad", {}),
    ("adagrad", {"initial_accumulator_value": 0.0, "learning_rate": 0.5}),
    ("adadelta", {}),
    ("adadelta", {"learning_rate": 1.0, "rho": 0.9, "epsilon": 1e-4}),
    ("sgd", {"momentum": 0.9, "nesterov": True}),
    ("sgd", {"weight_decay": 0.5, "learning_rate": 0.1}),
    ("sgd", {"weight_decay": 0.5, "learning_rate": 0.1, "momentum": 0.9}),
    ("adam", {"weight_decay": 0.5, "learning_rate": 0.1}),
    ("nadam", {"weight_decay": 0.5, "learning_rate": 0.1}),
    ("rmsprop", {"weight_decay": 0.5, "learning_rate": 0.1}),
    ("adagrad", {"weight_decay": 0.5, "learning_rate": 0.1}),
    ("adadelta", {"weight_decay": 0.5, "learning_rate": 0.1}),
    ("sgd", {"use_ema": True, "learning_rate": 0.1}),
    ("sgd", {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 1, "learning_rate": 0.1}),
    ("adam", {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 3, "learning_rate": 0.1,
              "weight_decay": 0.5}),
]

SCHEDULES = [
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 30, "decay_rate": 0.9, "staircase": False}),
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 30, "decay_rate": 0.9, "staircase": True}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 1, "decay_rate": 0.01, "staircase": False}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.5, "staircase": True}),
    ("PiecewiseConstantDecay", {"boundaries": [3, 30], "values": [1.0, 0.5, 0.1]}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 30, "end_learning_rate": 0.001, "power": 1.0,
                         "cycle": False}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 30, "end_learning_rate": 0.001, "power": 0.5,
                         "cycle": True}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 30, "alpha": 0.0, "warmup_target": None,
                     "warmup_steps": 0}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 30, "alpha": 0.1, "warmup_target": 0.5,
                     "warmup_steps": 10}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 30, "t_mul": 2.0, "m_mul": 1.0,
                             "alpha": 0.0}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 10, "t_mul": 1.0, "m_mul": 0.9,
                             "alpha": 0.1}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 10, "t_mul": 1.5, "m_mul": 0.8,
                             "alpha": 0.01}),
]

CLIPPINGS = [{"clipvalue": 0.5}, {"clipnorm": 1.5}, {"global_clipnorm": 1.5}, {"global_clipnorm": 100.0}]


def optimizer_case(name, arguments, draw):
    """The parameters after each of eight steps, and their moving average, if there is one."""
    gradients = draw.normal(size=[STEPS, PARAMETERS]).astype("float32")
    gradients[:, 0] = 0.0
    gradients[:, 1] *= 1e-4
    start = draw.normal(size=[PARAMETERS]).astype("float32")
    variable = keras.Variable(start)
    optimizer = keras.optimizers.get({"class_name": name, "config": arguments})
    optimizer.build([variable])
    after, averages = [], []
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
        after.append(keras.ops.convert_to_numpy(variable))
        if optimizer.use_ema:
            averages.append(keras.ops.convert_to_numpy(optimizer._model_variables_moving_average[0]))
    description = {"op": "optimizer", "rule": name, **arguments}
    averages = {"average": np.stack(averages)} if averages else {}
    return description, {"p0": start, "gradients": gradients, "p": np.stack(after), **averages}


def schedule_case(name, arguments):
    """The learning rate of each of these steps."""
    steps = np.array([0, 1, 2, 3, 4, 7, 9, 10, 11, 29, 30, 31, 40, 59, 60, 61, 1000, 1_000_000], "int32")
    schedule = getattr(schedules, name)(**arguments)
    rates = [float(schedule(keras.ops.convert_to_tensor(int(step), "int64"))) for step in steps]
    return {"op": "schedule", "class": name, **arguments}, {"steps": steps, "rates": np.array(rates, "float32")}


def clipping_case(arguments, draw):
    """The gradients of two variables, clipped: what a step with rate 1 subtracts from zeros."""
    gradients = [draw.normal(size=shape).astype("float32") for shape in ([3, 5], [257])]
    variables = [keras.Variable(np.zeros_like(gradient)) for gradient in gradients]
    optimizer = keras.optimizers.SGD(learning_rate=1.0, **arguments)
    optimizer.apply([keras.ops.convert_to_tensor(gradient) for gradient in gradients], variables)
    clipped = [-keras.ops.convert_to_numpy(variable) for variable in variables]
    names = ["g0", "g1", "clipped0", "clipped1"]
    return {"op": "clip", **arguments}, dict(zip(names, gradients + clipped))


draw = np.random.default_rng(1)
cases = [optimizer_case(name, arguments, draw) for name, arguments in OPTIMIZERS]
cases += [schedule_case(name, arguments) for name, arguments in SCHEDULES]
cases += [clipping_case(arguments, draw) for arguments in CLIPPINGS]
save("optimizers", cases)
