"""Imports torchvision's networks, exported by PyTorch, into Kiln, and compares with onnxruntime.

Install, in an environment of its own:
    python3 -m venv torch && torch/bin/pip install torch torchvision onnx onnxruntime safetensors
Run:
    torch/bin/python tests/peers/onnx_import.py target/release/kiln              # a table of all networks
    torch/bin/python tests/peers/onnx_import.py target/release/kiln resnet18     # some of them

A network has random weights, statistics near 0 and 1, and images of 64 x 64 (`SIZES` of others). It is exported
with `dynamo=False` for inference, so that normalizations are part of convolutions, and with its normalizations
(`TrainingMode.PRESERVE`). Differences are relative to the largest output. The model as `.keras` must predict the same.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import onnxruntime
import torch
import torchvision
from safetensors.numpy import load_file, save_file

warnings.filterwarnings("ignore")
NETWORKS = ["alexnet", "vgg11", "vgg11_bn", "resnet18", "resnet50", "resnext50_32x4d", "wide_resnet50_2", "squeezenet1_0",
            "squeezenet1_1", "densenet121", "googlenet", "inception_v3", "mobilenet_v2", "mobilenet_v3_small",
            "mobilenet_v3_large", "efficientnet_b0", "efficientnet_v2_s", "mnasnet1_0", "regnet_y_400mf", "regnet_x_400mf",
            "shufflenet_v2_x1_0", "convnext_tiny"]
LARGE = ["googlenet", "inception_v3"]
# Of another size, PyTorch cannot export their adaptive pooling.
SIZES = {"googlenet": 96, "inception_v3": 96, "alexnet": 224, "vgg11": 224, "vgg11_bn": 224}
MOST = 1e-4


def run(*call):
    ran = subprocess.run([str(part) for part in call], capture_output=True, text=True, env={"KILN_DEVICE": "cpu", **os.environ})
    return None if ran.returncode == 0 else ran.stderr.strip().splitlines()[0]


def build(name):
    torch.manual_seed(3)
    options = {"init_weights": True} if name in LARGE else {}
    if name in LARGE:
        options["aux_logits"] = False
    model = getattr(torchvision.models, name)(weights=None, num_classes=10, **options)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.8, 1.2)
            torch.nn.init.uniform_(module.weight, 0.8, 1.2)
            torch.nn.init.normal_(module.bias, 0, 0.1)
    return model.eval()


def difference(kiln, model, x, expected, folder):
    save_file({"x": np.ascontiguousarray(x.transpose(0, 2, 3, 1))}, folder / "x.safetensors")
    problem = run(kiln, "predict", model, "--input", folder / "x.safetensors", "--output", folder / "y.safetensors")
    if problem:
        return problem.replace(str(folder), "")
    found = load_file(folder / "y.safetensors")["y"]
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def check(kiln, name, folder):
    size = SIZES.get(name, 64)
    model, x = build(name), torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(5))
    found = []
    for training in [torch.onnx.TrainingMode.EVAL, torch.onnx.TrainingMode.PRESERVE]:
        path = folder / "m.onnx"
        keeps = training == torch.onnx.TrainingMode.PRESERVE
        torch.onnx.export(model, (x,), path, dynamo=False, opset_version=17, training=training, do_constant_folding=not keeps,
                          input_names=["image"], output_names=["logits"],
                          dynamic_axes={"image": {0: "n"}, "logits": {0: "n"}})
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        expected = session.run(None, {"image": x.numpy()})[0]
        found.append(difference(kiln, path, x.numpy(), expected, folder))
        if isinstance(found[-1], str):
            return found[-1]
        problem = run(kiln, "convert", path, folder / "m.keras", "--overwrite")
        found.append(problem or difference(kiln, folder / "m.keras", x.numpy(), expected, folder))
        if isinstance(found[-1], str):
            return found[-1]
    return max(found)


failed = 0
print("| network | difference |\n|---|---|", flush=True)
for name in sys.argv[2:] or NETWORKS:
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = check(sys.argv[1], name, pathlib.Path(folder))
        except Exception as error:
            found = f"{type(error).__name__}: {str(error).splitlines()[0]}"
    failed += isinstance(found, str) or found > MOST
    print(f"| {name} | {found if isinstance(found, str) else f'{found:.1e}'} |", flush=True)
print(f"\n{failed} differ or are refused")
