"""Records small networks that PyTorch exports to ONNX: `tests/fixtures/onnx/`.

Install, in an environment of its own:  python3 -m venv torch && torch/bin/pip install torch onnx onnxruntime safetensors
Run:                                    torch/bin/python tests/peers/onnx_fixtures.py

`NAME.onnx` has its normalizations as they are trained. `NAME.safetensors` has images `x` with the channels last and
onnxruntime's outputs `y`; for `trained.onnx` also the `labels`, the `losses` before and after one step of SGD (learning rate 0.1) in
training mode with the mean squared error, and the weights `final/…` after it in Keras' layouts. Recorded with PyTorch 2.15.
"""

import pathlib

import numpy as np
import onnxruntime
import torch
from safetensors.numpy import save_file
from torch import nn

FOLDER = pathlib.Path(__file__).parent.parent / "fixtures" / "onnx"


class Trained(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(6)
        self.depthwise = nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.grouped = nn.Conv2d(6, 8, 1, groups=2)
        self.fc = nn.Linear(8 * 2 * 3, 4)

    def forward(self, x):
        x = torch.relu(self.norm(self.conv(x)))
        x = x + nn.functional.hardswish(self.depthwise(x))
        x = nn.functional.max_pool2d(nn.functional.silu(self.grouped(x)), 2, ceil_mode=True)
        return self.fc(torch.flatten(x, 1))


class Moved(nn.Module):
    """Operators that move values: none of them may be taken for that of another order."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.up = nn.ConvTranspose2d(8, 4, 3, stride=2, padding=1, output_padding=1)
        self.norm = nn.LayerNorm(4)
        self.prelu = nn.PReLU(4)
        self.fc = nn.Linear(4, 5)

    def forward(self, x):
        x = nn.functional.max_pool2d(self.conv(nn.functional.pad(x, [1, 2, 0, 1])), 3, stride=2, padding=1)
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)  # channels shuffled
        x = torch.cat([self.prelu(self.up(x)), torch.tanh(self.up(x))], 2)
        x = nn.functional.interpolate(x, scale_factor=2, mode="bilinear")
        x = self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        x = nn.functional.gelu(nn.functional.avg_pool2d(x, 3, 2, padding=1))
        x = torch.clamp(x, -0.25, 0.75) * 2 - 0.5
        return torch.softmax(self.fc(x.mean((2, 3))), 1)


def keras_layout(name, value):
    value = value.detach().numpy()
    if value.ndim == 4 and name == "depthwise.weight":
        value = value.transpose(2, 3, 0, 1)
    elif value.ndim == 4:
        value = value.transpose(2, 3, 1, 0)
    elif name == "fc.weight":
        # The vector has the order of Kiln's images.
        value = value.reshape(4, 8, 2, 3).transpose(2, 3, 1, 0).reshape(48, 4)
    return np.ascontiguousarray(value)


FOLDER.mkdir(exist_ok=True)
for name, model, shape in [("trained", Trained(), (3, 7, 11)), ("moved", Moved(), (3, 8, 7))]:
    torch.manual_seed(7)
    for parameter in model.parameters():
        nn.init.normal_(parameter, 0.1, 0.4)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    x = torch.randn(4, *shape)
    model.eval()
    path = FOLDER / f"{name}.onnx"
    torch.onnx.export(model, (x,), path, dynamo=False, opset_version=17, training=torch.onnx.TrainingMode.PRESERVE,
                      do_constant_folding=False, input_names=["image"], dynamic_axes={"image": {0: "n"}})
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    arrays = {"x": np.ascontiguousarray(x.numpy().transpose(0, 2, 3, 1)), "y": session.run(None, {"image": x.numpy()})[0]}
    if name == "trained":
        labels = torch.randn(4, 4)
        model.train()
        loss = nn.functional.mse_loss(model(x), labels)
        loss.backward()
        torch.optim.SGD(model.parameters(), 0.1).step()
        arrays |= {"labels": labels.numpy(), "losses": np.array([loss.item()], "float32")}
        names = {"norm.weight": "norm/gamma", "norm.bias": "norm/beta"}
        for key, value in model.named_parameters():
            keras = names.get(key, key.replace(".weight", "/kernel").replace(".bias", "/bias"))
            arrays[f"final/{keras}"] = keras_layout(key, value)
    save_file(arrays, FOLDER / f"{name}.safetensors")
    print(path, path.stat().st_size, arrays["y"].shape)
