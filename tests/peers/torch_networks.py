"""torchvision's and timm's ResNet50, MobileNetV2 and EfficientNetB0 in Kiln: loads their weights and compares predictions.

Install, in an environment of its own:
    python3 -m venv torch && torch/bin/pip install torch torchvision timm safetensors
Run:
    torch/bin/python tests/peers/torch_networks.py target/release/kiln             # a table of all networks

The networks have random weights: kernels of the variance of He's initialization, factors and statistics near 1, offsets near 0.
The names and shapes of all tensors are recorded in `tests/fixtures/weights/torch_networks.txt`. `kiln predict` reads the state dict as `.pth` and as safetensors. `difference` is the largest difference of a prediction from
PyTorch's, relative to the largest one.
"""

import argparse
import pathlib
import subprocess
import tempfile

import numpy as np
import timm
import torch
import torchvision
from safetensors.numpy import load_file, save_file
from safetensors.torch import save_file as save_tensors

from recorded import FIXTURES

SIZE = 224
NETWORKS = {
    "torchvision": {
        "resnet50": torchvision.models.resnet50,
        "mobilenet_v2": torchvision.models.mobilenet_v2,
        "efficientnet_b0": torchvision.models.efficientnet_b0,
    },
    "timm": {
        "resnet50": lambda weights: timm.create_model("resnet50"),
        "mobilenet_v2": lambda weights: timm.create_model("mobilenetv2_100"),
        "efficientnet_b0": lambda weights: timm.create_model("efficientnet_b0"),
    },
}


def draw(model):
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            noise = torch.randn(value.shape, generator=generator)
            if value.dim() > 1:
                value.copy_(noise * (2 / value[0].numel()) ** 0.5)
            elif name.endswith(("weight", "running_var")):
                value.copy_(1 + noise.clamp(-2, 2) / 5)
            elif not name.endswith("num_batches_tracked"):
                value.copy_(noise / 10)
    return model.eval()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kiln", help="Kiln's command")
    kiln = parser.parse_args().kiln
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        images = torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(9)) * 2 - 1
        save_file({"x": np.ascontiguousarray(images.permute(0, 2, 3, 1).numpy())}, folder / "x.safetensors")
        for library, networks in NETWORKS.items():
            for name, function in networks.items():
                model = draw(function(weights=None))
                last = [module for module in model.modules() if isinstance(module, torch.nn.Linear)][-1]
                lines.append(f"{library} {name}\n")
                for tensor, value in model.state_dict().items():
                    lines.append(f"  {tensor} {','.join(str(extent) for extent in value.shape)}\n")
                with torch.no_grad():
                    # Probabilities that are neither 0 nor 1.
                    last.weight /= model(images).abs().max() / 5
                    expected = model(images).softmax(-1).numpy()
                torch.save(model.state_dict(), folder / "weights.pth")
                save_tensors(model.state_dict(), folder / "weights.safetensors")
                for file in ["weights.pth", "weights.safetensors"]:
                    arguments = ["--weights", folder / file, "--output", folder / "y.safetensors"]
                    command = [kiln, "predict", f"torchvision/{name}", "--input", folder / "x.safetensors", *arguments]
                    run = subprocess.run(command, capture_output=True, text=True)
                    if run.returncode != 0:
                        print(f"{library} {name} {file}: {run.stderr.strip()}")
                        continue
                    found = load_file(folder / "y.safetensors")["y"]
                    print(f"{library} {name} {file}: {np.abs(found - expected).max() / np.abs(expected).max():.1e}")
    (FIXTURES / "weights/torch_networks.txt").write_text("".join(line for line in lines if "num_batches" not in line))


main()
