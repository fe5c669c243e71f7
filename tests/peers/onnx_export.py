"""Checks the ONNX files that Kiln writes: `onnx.checker` and onnxruntime.

Install, in an environment of its own:
    python3 -m venv keras && keras/bin/pip install tensorflow-cpu keras safetensors onnx onnxruntime
Run:
    keras/bin/python tests/peers/onnx_export.py target/release/kiln             # all
    keras/bin/python tests/peers/onnx_export.py target/release/kiln networks    # or layers

`layers` are the cases of `fixtures/layers.safetensors` and `fixtures/convolutions.safetensors`, and one model for each
activation function: Keras saves the model, `kiln convert` writes the graph, and onnxruntime's outputs are compared with the
recorded ones or Keras'. `networks` are LeNet, networks for CIFAR-10 and four of `keras.applications` with random weights,
compared with `kiln predict`. The graph that Kiln reads back must predict the same. Differences are relative to the largest
output.
"""

import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
import numpy as np
import onnx
import onnxruntime
from keras import layers as L
from safetensors.numpy import load_file, save_file

FIXTURES = pathlib.Path(__file__).parent.parent / "fixtures"
MOST = 1e-5


def run(*call):
    ran = subprocess.run([str(part) for part in call], capture_output=True, text=True, env={"KILN_DEVICE": "cpu", **os.environ})
    return None if ran.returncode == 0 else ran.stderr.strip().splitlines()[0]


def predicted(path, x):
    """The outputs of a graph that passes the checker."""
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    batch = model.graph.input[0].type.tensor_type.shape.dim[0]
    assert batch.dim_param, "the batch has no fixed number of samples"
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def difference(found, expected):
    if found.shape != expected.shape:
        return f"shape {found.shape}, expected {expected.shape}"
    return float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-30))


def kiln_predicts(kiln, model, x, folder):
    save_file({"x": np.ascontiguousarray(x)}, folder / "x.safetensors")
    problem = run(kiln, "predict", model, "--input", folder / "x.safetensors", "--output", folder / "y.safetensors")
    return problem or load_file(folder / "y.safetensors")["y"]


def exported(kiln, model, x, expected, folder, back):
    """The difference of the exported graph, and of Kiln's reading of it."""
    file, graph = folder / "m.keras", folder / "m.onnx"
    model.save(file)
    problem = run(kiln, "convert", file, graph, "--overwrite")
    if problem:
        return problem
    if expected is None:
        expected = kiln_predicts(kiln, file, x, folder)
        if isinstance(expected, str):
            return expected
    found = difference(predicted(graph, x), expected)
    if back and not isinstance(found, str):
        again = kiln_predicts(kiln, graph, x, folder)
        again = again if isinstance(again, str) else difference(again, expected)
        return again if isinstance(again, str) else max(found, again)
    return found


def recorded(name):
    """The cases of a fixture: its description, and its arrays."""
    data = (FIXTURES / f"{name}.safetensors").read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    cases = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["cases"])
    arrays = load_file(FIXTURES / f"{name}.safetensors")
    for number, case in enumerate(cases):
        start = f"{number}."
        yield case, {key[len(start) :]: value for key, value in arrays.items() if key.startswith(start)}


def of_case(case, arrays):
    import keras.src.applications.convnext, keras.src.applications.inception_resnet_v2  # registers their layers

    keras.utils.clear_session()
    model = keras.models.model_from_json(json.dumps(case["model"]))
    model.set_weights([arrays[f"before.{i}"] for i in range(len(model.weights))])
    for layer in model.layers:
        if isinstance(layer, L.Normalization):
            layer.finalize_state()
    return model


def layer_models():
    for fixture in ["layers"]:
        for case, arrays in recorded(fixture):
            if " along " not in case["name"]:  # operators work along the last axis only
                yield f"{fixture}: {case['name']}", of_case(case, arrays), arrays["x"], arrays["output"]
    draw = np.random.default_rng(5)

    def drawn(name, *behind, shape=(5, 6, 4), model=None):
        if model is None:
            keras.utils.clear_session()
            model = keras.Sequential([keras.Input(shape), *behind])
        model.set_weights([draw.uniform(0.2, 1, weight.shape) * draw.choice([-1, 1], weight.shape) if "variance" not in weight.path
                           else draw.uniform(0.2, 1, weight.shape) for weight in model.weights])
        x = draw.normal(size=(3, *shape)).astype("float32")
        return name, model, x, np.asarray(model(x, training=False))

    functions = ["softmax", "log_softmax", "relu", "sigmoid", "tanh", "elu", "leaky_relu", "softplus", "selu", "gelu", "silu",
                 "celu", "exponential", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_tanh", "log_sigmoid", "mish", "relu6",
                 "soft_shrink", "softsign", "sparse_plus", "sparse_sigmoid", "squareplus", "tanh_shrink"]
    for function in functions:
        yield drawn(f"activation {function}", L.Activation(function))
        yield drawn(f"activation {function} of a convolution", L.Conv2D(3, 2, activation=function))
    for padding in ["same", "valid"]:
        for strides, dilation in [(1, 1), (2, 1), (1, 2), ((3, 2), 1)]:
            options = {"padding": padding, "strides": strides, "dilation_rate": dilation}
            for size in [1, 2, 3]:
                name = f"{size} {padding} {strides} {dilation}"
                yield drawn(f"Conv2D {name}", L.Conv2D(6, size, groups=2, **options))
                if dilation == 1:  # TensorFlow computes others on GPUs only
                    yield drawn(f"Conv2DTranspose {name}", L.Conv2DTranspose(3, size, **options))
                if not isinstance(strides, tuple):
                    yield drawn(f"DepthwiseConv2D {name}", L.DepthwiseConv2D(size, depth_multiplier=2, **options))
                    yield drawn(f"SeparableConv2D {name}", L.SeparableConv2D(3, size, **options))
        for size, strides in [(2, None), (3, 2), ((1, 3), (3, 1)), (4, 1)]:
            yield drawn(f"MaxPooling2D {padding} {size} {strides}", L.MaxPooling2D(size, strides, padding))
            yield drawn(f"AveragePooling2D {padding} {size} {strides}", L.AveragePooling2D(size, strides, padding))
    for padding in ["valid", "same", "causal"]:
        for strides, dilation in [(1, 1), (2, 1), (1, 2)]:
            options = {"padding": padding, "strides": strides, "dilation_rate": dilation}
            yield drawn(f"Conv1D {padding} {strides} {dilation}", L.Conv1D(6, 3, groups=2, **options), L.MaxPooling1D(2), shape=(9, 4))
    keys = [np.s_[:, 0], np.s_[:, -1, 1:3], np.s_[:, :, :, 1:], np.s_[:, 1:-1, 2], np.s_[:, :, :, 0], np.s_[:, 1:, :-2]]
    for key in keys:
        keras.utils.clear_session()
        image = keras.Input((5, 6, 4))
        yield drawn(f"GetItem {key}", model=keras.Model(image, L.Conv2D(3, 2)(image)[key]))
    yield drawn("Dense on images", L.Conv2D(3, 2), L.Dense(7, activation="softmax"), L.Conv2D(2, 2))
    yield drawn("Flatten and Dense", L.Conv2D(3, 2), L.Flatten(), L.Dense(7))
    yield drawn("Flatten, normalized", L.Conv2D(3, 2), L.Flatten(), L.BatchNormalization(), L.ReLU(), L.Dropout(0.5), L.Dense(7))
    yield drawn("Permute and Reshape", L.Conv2D(3, 2), L.Permute([3, 1, 2]), L.Reshape([4, -1]), L.Dense(3))
    yield drawn("BatchNormalization of sequences", L.Reshape([15, 8]), L.BatchNormalization(), L.MaxPooling1D(2))
    yield drawn("UpSampling2D", L.Conv2D(3, 2), L.UpSampling2D([2, 3], interpolation="bilinear"), L.UpSampling2D(2))
    yield drawn("Resizing", L.Conv2D(3, 2), L.Resizing(7, 3), L.Resizing(5, 4, interpolation="nearest"))


def networks():
    def cifar(*layers):
        return keras.Sequential([keras.Input((32, 32, 3)), *layers])

    conv = lambda filters: L.Conv2D(filters, 3, padding="same", activation="relu")
    head = lambda: [L.Flatten(), L.Dense(512, activation="relu"), L.Dropout(0.5), L.Dense(10, activation="softmax")]
    lenet = [L.Conv2D(20, 5, padding="same", activation="relu"), L.MaxPooling2D(2), L.Conv2D(50, 5, padding="same", activation="relu"),
             L.MaxPooling2D(2), L.Flatten(), L.Dense(500, activation="relu"), L.Dense(10, activation="softmax")]
    yield "LeNet", keras.Sequential([keras.Input((28, 28, 1)), *lenet]), 1
    yield "cifar10_simple", cifar(conv(32), L.MaxPooling2D(2), L.Dropout(0.25), *head()), 1
    yield "cifar10_deep", cifar(conv(32), L.Conv2D(32, 3, activation="relu"), L.MaxPooling2D(2), L.Dropout(0.25), conv(64),
                                L.Conv2D(64, 3, activation="relu"), L.MaxPooling2D(2), L.Dropout(0.25), *head()), 1
    applications = keras.applications
    for name in ["ResNet50", "MobileNetV2", "EfficientNetB0", "MobileNetV3Small", "DenseNet121", "ConvNeXtTiny", "InceptionV3"]:
        size = 96 if name != "InceptionV3" else 96
        yield name, getattr(applications, name)(weights=None, input_shape=(size, size, 3), classifier_activation=None), 127


def check(kiln, kinds):
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        if "layers" in kinds:
            agree = total = 0
            for name, model, x, expected in layer_models():
                try:
                    found = exported(kiln, model, x, expected, folder, back="back" in kinds)
                except Exception as error:
                    found = f"{type(error).__name__}: {str(error).splitlines()[0]}"
                total += 1
                agree += not isinstance(found, str) and found <= MOST
                if isinstance(found, str) or found > MOST:
                    print(f"{name}: {found if isinstance(found, str) else f'{found:.1e}'}", flush=True)
            print(f"layers: {agree} of {total} agree", flush=True)
            failed += total - agree
        if "networks" in kinds:
            print("| network | difference |\n|---|---|")
            for name, model, scale in networks():
                draw = np.random.default_rng(3)
                x = (draw.normal(size=(2, *model.input_shape[1:])) * scale + scale).astype("float32")
                for weight in model.weights:
                    if "gamma" in weight.path or "variance" in weight.path:
                        weight.assign(draw.uniform(0.8, 1.2, weight.shape))
                    elif "beta" in weight.path or "mean" in weight.path or "bias" in weight.path:
                        weight.assign(draw.normal(size=weight.shape) / 10)
                try:
                    found = exported(kiln, model, x, None, folder, back="back" in kinds)
                except Exception as error:
                    found = f"{type(error).__name__}: {str(error).splitlines()[0]}"
                failed += isinstance(found, str) or found > MOST
                print(f"| {name} | {found if isinstance(found, str) else f'{found:.1e}'} |", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(1 if check(sys.argv[1], sys.argv[2:] or ["layers", "networks", "back"]) else 0)
