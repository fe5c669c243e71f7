"""Records Keras' random layers of images in training: `tests/fixtures/random_layers.safetensors`.

Install, in an environment of its own:  python3 -m venv keras && keras/bin/pip install tensorflow-cpu keras
Run:                                    keras/bin/python tests/peers/random_layers.py

Both bounds of each factor are equal, so that nothing is random but the flips. Recorded are the layer's class and arguments, images
`x`, the output `y` in training, and for layers of colours a gradient `dy` of the output and the one of the input, `dx`. TensorFlow's
gradient of a transform is that of the inverse transform, and not recorded. Recorded with Keras 3.15.0 on TensorFlow 2.21.0.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from recorded import save


def case(layer, size=(4, 5, 2)):
    draw = np.random.default_rng(7)
    x = draw.uniform(0, 1, size=(2, *size)).astype("float32")
    with tf.GradientTape() as tape:
        image = tf.convert_to_tensor(x)
        tape.watch(image)
        y = layer(image, training=True)
    arrays = {"x": x, "y": np.asarray(y)}
    if isinstance(layer, (layers.RandomContrast, layers.RandomBrightness)):
        arrays["dy"] = draw.normal(size=y.shape).astype("float32")
        arrays["dx"] = np.asarray(tape.gradient(y, image, arrays["dy"]))
    config = layer.get_config()
    config = {key: config[key] for key in config if key not in ("name", "trainable", "dtype")}
    return {"class": type(layer).__name__, "config": config}, arrays


def both(factor):
    return [factor, factor]


def cases():
    for fill_mode in ["constant", "nearest", "reflect", "wrap"]:
        for interpolation in ["nearest", "bilinear"]:
            options = {"fill_mode": fill_mode, "fill_value": 0.5, "interpolation": interpolation}
            for turns in [0.07, -0.9]:
                yield case(layers.RandomRotation(both(turns), **options))
            yield case(layers.RandomZoom(both(0.73), **options))
            yield case(layers.RandomZoom(both(-0.37), both(0.91), **options))
            yield case(layers.RandomTranslation(both(0.33), both(-0.77), **options))
            yield case(layers.RandomTranslation(both(-0.93), both(0.21), **options), size=(1, 3, 1))
    for value_range in [(0.0, 1.0), (0.25, 0.5), (0.0, 255.0)]:
        yield case(layers.RandomContrast((0.0, 0.0), value_range=value_range))
        yield case(layers.RandomContrast((-0.625, 0.625), value_range=value_range))
        yield case(layers.RandomBrightness(both(0.125), value_range=value_range))
        yield case(layers.RandomBrightness(both(-0.25), value_range=value_range))


keras.utils.set_random_seed(1)
save("random_layers", list(cases()))
