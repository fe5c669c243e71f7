"""Keras 3 on TensorFlow, on the processor, with the networks of `benches/training.rs` and `benches/latency.rs`: images per
second of training with Adam or, with `--latency`, the time of a prediction of one sample.

Install, in an environment of its own:  python3 -m venv keras && keras/bin/pip install tensorflow-cpu keras
Run:                                    keras/bin/python benches/peers/keras.py [--steps 60] [--threads 2] [--jit on]

Batches of 128 made-up images in memory. Each network is compiled and warmed up by one `fit` over all steps, then
a `fit` over the same steps is timed five times; the figure is the median. `--jit` is Keras' `jit_compile`: `auto` (its
default) decides whether XLA compiles the step, `on` and `off` force it. Prints a table, then the same as JSON.

With `--latency`, each network predicts 300 samples one by one, after 10 that warm up, as `predict_on_batch` and as a
`tf.function` of the model; the outputs are read as numpy arrays.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time

BATCH = 128


def lenet(layers):
    """As `kiln::models::lenet`, for 28 x 28 x 1."""
    return [
        layers.Input([28, 28, 1]),
        layers.Conv2D(20, 5, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(50, 5, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(500, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ]


def cifar10_deep(layers):
    """As `kiln::models::cifar10_deep`, for 32 x 32 x 3."""
    return [
        layers.Input([32, 32, 3]),
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(2),
        layers.Dropout(0.25),
        layers.Conv2D(64, 3, padding="same", activation="relu"),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Dropout(0.25),
        layers.Flatten(),
        layers.Dense(512, activation="relu"),
        layers.Dropout(0.5),
        layers.Dense(10, activation="softmax"),
    ]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=60, help="training steps per timed fit (default 60)")
    parser.add_argument("--threads", type=int, help="threads per op (default: one per core)")
    parser.add_argument("--latency", action="store_true", help="time predictions of one sample instead")
    parser.add_argument("--jit", choices=["auto", "on", "off"], default="auto", help="XLA (default: auto)")
    return parser.parse_args()


def images_per_second(keras, network, steps, jit):
    """The rates of five timed fits, after a warm-up."""
    import numpy

    keras.utils.set_random_seed(0)
    model = keras.Sequential(network(keras.layers), name=network.__name__)
    jit_compile = {"auto": "auto", "on": True, "off": False}[jit]
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=jit_compile)
    random = numpy.random.default_rng(0)
    images = random.random([steps * BATCH, *model.input_shape[1:]], dtype=numpy.float32)
    labels = random.integers(0, 10, steps * BATCH, dtype=numpy.int32)

    rates = []
    for run in range(6):
        start = time.perf_counter()
        model.fit(images, labels, batch_size=BATCH, epochs=1, verbose=0)
        if run > 0:
            rates.append(steps * BATCH / (time.perf_counter() - start))
    return model.count_params(), rates


def vgg16_to_block4_pool(keras):
    vgg = keras.applications.VGG16(weights=None, include_top=False, input_shape=(224, 224, 3))
    return keras.Model(vgg.input, vgg.get_layer("block4_pool").output)


def latencies(keras, tensorflow):
    """Prints the latency of predicting one sample in microseconds."""
    import numpy

    networks = {
        "lenet": lambda: keras.Sequential(lenet(keras.layers)),
        "cifar10_deep": lambda: keras.Sequential(cifar10_deep(keras.layers)),
        "vgg16 to block4_pool": lambda: vgg16_to_block4_pool(keras),
        "inception_v3": lambda: keras.applications.InceptionV3(weights=None),
    }
    print(f"{'us a sample':<22}{'predict_on_batch':>18}{'99th':>9}{'tf.function':>14}{'99th':>9}")
    for name, make in networks.items():
        model = make()
        compiled = tensorflow.function(lambda x, model=model: model(x, training=False))
        samples = numpy.random.default_rng(0).random([4, 1, *model.input_shape[1:]], dtype=numpy.float32)
        figures = []
        for predict in (model.predict_on_batch, lambda x, compiled=compiled: compiled(x).numpy()):
            times = []
            for call in range(310):
                start = time.perf_counter()
                predict(samples[call % 4])
                times.append((time.perf_counter() - start) * 1e6)
            times = sorted(times[10:])
            figures += [times[150], times[297]]
        print(f"{name:<22}{figures[0]:>18.0f}{figures[1]:>9.0f}{figures[2]:>14.0f}{figures[3]:>9.0f}", flush=True)


def main():
    args = arguments()
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.path.pop(0)  # The folder of this file, which is called keras too.
    import tensorflow

    threads = args.threads or len(os.sched_getaffinity(0))
    tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    import keras

    versions = {"python": platform.python_version(), "keras": keras.__version__, "tensorflow": tensorflow.__version__}
    print(", ".join(f"{name} {version}" for name, version in versions.items()), f"{threads} threads", sep=", ")
    if args.latency:
        return latencies(keras, tensorflow)
    print(f"batch {BATCH}, {args.steps} steps a fit, jit_compile {args.jit}\n")
    print(f"{'network':<14}{'parameters':>12}{'images/s':>10}   of five")
    results = []
    for network in (lenet, cifar10_deep):
        parameters, rates = images_per_second(keras, network, args.steps, args.jit)
        median = statistics.median(rates)
        of = ", ".join(f"{rate:.0f}" for rate in rates)
        print(f"{network.__name__:<14}{parameters:>12,}{median:>10.0f}   {of}", flush=True)
        results.append({"network": network.__name__, "parameters": parameters, "images_per_second": median, "rates": rates})
    settings = {"batch": BATCH, "steps": args.steps, "threads": threads, "jit_compile": args.jit}
    print("\n" + json.dumps({"versions": versions, **settings, "results": results}))


if __name__ == "__main__":
    main()
