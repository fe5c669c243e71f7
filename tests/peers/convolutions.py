"""Records a step of Keras' convolutional layers: `tests/fixtures/convolutions.safetensors`.

Install, in an environment of its own:  python3 -m venv keras && keras/bin/pip install tensorflow-cpu keras
Run:                                    keras/bin/python tests/peers/convolutions.py

Each model is a convolution of 1 x 1 (or 1), so that there is a gradient of the layer's input, and the layer. Recorded are the
model as JSON, its output and mean squared error, and the weights after one step of SGD with learning rate 1. Recorded with
Keras 3.15.1 on TensorFlow 2.21.0, compiled by XLA: without it, TensorFlow has no gradient of groups on a processor.
"""

import keras
import numpy as np
import tensorflow as tf

from recorded import save

tf.get_logger().setLevel("ERROR")
L = keras.layers
IMAGES = 2


def case(layer, image=(6, 7, 3), channels=4):
    """One step of a layer on images (or sequences) of `image`, turned into images of `channels` channels."""
    draw = np.random.default_rng(7)
    before = (L.Conv1D if len(image) == 2 else L.Conv2D)(channels, 1, name="before")
    model = keras.Sequential([keras.Input(image), before, layer], name="model")
    for variable in model.trainable_variables:
        variable.assign(draw.normal(size=variable.shape, scale=0.5).astype("float32"))
    x = draw.normal(size=(IMAGES, *image)).astype("float32")
    y = draw.normal(size=(IMAGES, *model.output_shape[1:])).astype("float32")
    names = [variable.path.removeprefix("model/") for variable in model.trainable_variables]
    weights = {f"initial/{name}": np.asarray(variable) for name, variable in zip(names, model.trainable_variables)}

    @tf.function(jit_compile=True)
    def step():
        with tf.GradientTape() as tape:
            output = model(x, training=True)
            loss = tf.reduce_mean(tf.square(output - y))
        return output, loss, tape.gradient(loss, model.trainable_variables)

    output, loss, gradients = step()
    after = {
        f"after/{name}": np.asarray(variable) - np.asarray(gradient)
        for name, variable, gradient in zip(names, model.trainable_variables, gradients)
    }
    description = {"model": model.to_json(), "loss": float(loss)}
    return description, {"x": x, "y": y, "output": np.asarray(output), **weights, **after}


save("convolutions", [
    case(L.DepthwiseConv2D(3, padding="same", name="layer")),
    case(L.DepthwiseConv2D(3, strides=2, padding="same", activation="relu", name="layer"), channels=5),
    case(L.DepthwiseConv2D(5, use_bias=False, name="layer"), image=(7, 12, 3), channels=8),
    case(L.DepthwiseConv2D((3, 2), depth_multiplier=3, activation="relu", name="layer"), channels=2),
    case(L.DepthwiseConv2D(3, padding="same", dilation_rate=(2, 3), name="layer")),
    case(L.DepthwiseConv2D(3, strides=2, padding="same", dilation_rate=2, name="layer"), image=(8, 9, 2)),
    case(L.DepthwiseConv2D(7, strides=2, padding="same", depth_multiplier=2, name="layer"), image=(9, 17, 2)),
    case(L.SeparableConv2D(5, 3, padding="same", activation="relu", name="layer")),
    case(L.SeparableConv2D(3, 3, strides=2, padding="same", depth_multiplier=2, use_bias=False, name="layer")),
    case(L.SeparableConv2D(2, (2, 3), dilation_rate=(1, 2), activation="tanh", name="layer")),
    case(L.Conv2D(6, 3, padding="same", groups=2, activation="relu", name="layer")),
    case(L.Conv2D(6, (3, 2), strides=2, groups=3, use_bias=False, name="layer"), channels=9),
    case(L.Conv2D(8, 3, padding="same", groups=4, name="layer")),
    case(L.Conv2D(5, 3, padding="same", dilation_rate=2, activation="relu", name="layer")),
    case(L.Conv2D(5, (2, 3), dilation_rate=(3, 2), name="layer")),
    case(L.Conv2D(6, (1, 3), padding="same", dilation_rate=2, groups=2, name="layer")),
    case(L.Conv2D(4, 3, padding="same", dilation_rate=2, groups=4, name="layer")),
    case(L.Conv2DTranspose(5, 3, strides=2, padding="same", activation="relu", name="layer"), image=(3, 4, 2)),
    case(L.Conv2DTranspose(3, 3, strides=2, name="layer"), image=(3, 4, 2)),
    case(L.Conv2DTranspose(3, 2, strides=2, use_bias=False, name="layer"), image=(3, 4, 2)),
    case(L.Conv2DTranspose(3, 2, strides=3, name="layer"), image=(2, 3, 2)),
    case(L.Conv2DTranspose(3, 3, strides=2, padding="same", output_padding=0, name="layer"), image=(3, 4, 2)),
    case(L.Conv2DTranspose(3, 4, strides=(2, 3), padding="same", output_padding=1, name="layer"), image=(3, 4, 2)),
    case(L.Conv2DTranspose(3, 3, strides=2, output_padding=1, name="layer"), image=(3, 4, 2)),
    case(L.Conv2DTranspose(3, 5, padding="same", name="layer"), image=(5, 6, 2)),
    case(L.Conv2DTranspose(3, 3, dilation_rate=2, padding="same", name="layer"), image=(4, 5, 2)),
    case(L.Conv2DTranspose(3, (3, 2), dilation_rate=(2, 3), activation="relu", name="layer"), image=(4, 5, 2)),
    case(L.Conv1D(5, 3, padding="same", activation="relu", name="layer"), image=(9, 3)),
    case(L.Conv1D(6, 4, strides=2, name="layer"), image=(11, 3)),
    case(L.Conv1D(6, 3, strides=3, padding="causal", groups=2, use_bias=False, name="layer"), image=(10, 3)),
    case(L.Conv1D(4, 3, padding="causal", dilation_rate=3, name="layer"), image=(12, 2)),
    case(L.Conv1D(4, 3, padding="same", dilation_rate=2, groups=4, name="layer"), image=(12, 2)),
])
