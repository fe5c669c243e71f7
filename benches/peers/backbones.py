"""ResNet50, MobileNetV2 and EfficientNetB0 with the Python that runs this, Keras or PyTorch, as rows of `benches/backbones.rs`.

Install, in environments of their own:
    python3 -m venv keras && keras/bin/pip install tensorflow-cpu keras
    python3 -m venv torch && torch/bin/pip install torch torchvision
Run:
    keras/bin/python benches/peers/backbones.py [NETWORK]
    torch/bin/python benches/peers/backbones.py [NETWORK]

Predictions of 8 images of 224 x 224, and a training step of all layers (SGD with momentum) on 8 images, in seconds: the best
of several runs, then their median. Keras predicts with `predict_on_batch` and with a `tf.function`; PyTorch runs in the layouts
channels first and channels last, each as it is and compiled.
"""

import importlib.util
import os
import statistics
import sys
import time

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
sys.path.pop(0)  # `keras.py` and `torch.py` in this folder
BATCH, CLASSES, RUNS = 8, 10, 7


def report(name, run):
    run()
    run()
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    print(f"{name:<66} {min(times):>9.3f} {statistics.median(times):>9.3f}", flush=True)


def with_keras(chosen):
    import keras
    import numpy
    import tensorflow

    networks = {
        "resnet50": keras.applications.ResNet50,
        "mobilenet_v2": keras.applications.MobileNetV2,
        "efficientnet_b0": keras.applications.EfficientNetB0,
    }
    for name, function in networks.items():
        if chosen not in (None, name):
            continue
        model = function(weights=None, classes=CLASSES)
        images = numpy.random.default_rng(0).random([BATCH, 224, 224, 3], dtype=numpy.float32)
        labels = numpy.arange(BATCH, dtype=numpy.int32) % CLASSES
        compiled = tensorflow.function(lambda x, model=model: model(x, training=False))
        report(f"{name}, {BATCH} images, predict_on_batch", lambda: model.predict_on_batch(images))
        report(f"{name}, {BATCH} images, tf.function", lambda: compiled(images).numpy())
        for jit in (False, True):
            model.compile(keras.optimizers.SGD(1e-4, 0.9), "sparse_categorical_crossentropy", jit_compile=jit)
            report(f"{name}, a step, jit_compile={jit}", lambda: model.train_on_batch(images, labels))


def with_torch(chosen):
    import torch
    import torchvision

    for name in ("resnet50", "mobilenet_v2", "efficientnet_b0"):
        if chosen not in (None, name):
            continue
        for layout in ("contiguous_format", "channels_last"):
            for compiled in (False, True):
                memory_format = getattr(torch, layout)
                model = getattr(torchvision.models, name)(num_classes=CLASSES).to(memory_format=memory_format)
                images = torch.rand(BATCH, 3, 224, 224).to(memory_format=memory_format)
                labels = torch.arange(BATCH) % CLASSES
                optimizer = torch.optim.SGD(model.parameters(), 1e-4, 0.9)
                loss = torch.nn.CrossEntropyLoss()
                run = torch.compile(model) if compiled else model

                def predict():
                    with torch.inference_mode():
                        return run(images)

                def step():
                    optimizer.zero_grad()
                    loss(run(images), labels).backward()
                    optimizer.step()

                form = f"{layout}{', compiled' if compiled else ''}"
                model.eval()
                report(f"{name}, {BATCH} images, {form}", predict)
                model.train()
                report(f"{name}, a step, {form}", step)


chosen = sys.argv[1] if len(sys.argv) > 1 else None
print(f"{'':<66} {'best':>9} {'median':>9}")
if importlib.util.find_spec("torchvision"):
    with_torch(chosen)
else:
    with_keras(chosen)
