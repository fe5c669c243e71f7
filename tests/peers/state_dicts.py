"""Saves a state dict as PyTorch's files: `tests/fixtures/weights/vgg16_*.pth.gz`.

Install, in an environment of its own:  python3 -m venv torch && torch/bin/pip install torch numpy
Run:                                    torch/bin/python tests/peers/state_dicts.py

The tensors are those of `vgg16_torchvision.safetensors`, in the format of PyTorch 1.6 and later (`archive`), in the one
before it (`old`), and within a checkpoint in which tensors share a storage, as in training (`checkpoint`).
"""

import gzip
import io
import json
import pathlib
import struct
from collections import OrderedDict

import numpy as np
import torch

FOLDER = pathlib.Path(__file__).parent.parent / "fixtures" / "weights"


def load(path):
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    for name, entry in header.items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            values = np.frombuffer(data[8 + length + start : 8 + length + end], dtype="<f4")
            yield name, torch.from_numpy(values.reshape(entry["shape"]).copy())


def write(name, content, **options):
    file = io.BytesIO()
    torch.save(content, file, **options)
    path = FOLDER / f"vgg16_{name}.pth.gz"
    path.write_bytes(gzip.compress(file.getvalue(), mtime=0))
    print(f"{path.name}: {path.stat().st_size} bytes")


tensors = OrderedDict(load(FOLDER / "vgg16_torchvision.safetensors"))
tensors._metadata = OrderedDict([("", {"version": 1})])
write("archive", tensors)
permuted = OrderedDict((name, tensor.T.contiguous().T if tensor.dim() == 2 else tensor) for name, tensor in tensors.items())
permuted |= {name: value.permute(2, 3, 1, 0).contiguous().permute(3, 2, 0, 1) for name, value in tensors.items() if value.dim() == 4}
write("permuted", permuted)
write("old", tensors, _use_new_zipfile_serialization=False)
flat = torch.cat([torch.zeros(3)] + [tensor.flatten() for tensor in tensors.values()])
shared, start = OrderedDict(), 3
for name, tensor in tensors.items():
    shared[name] = torch.nn.Parameter(flat[start : start + tensor.numel()].reshape(tensor.shape).detach())
    start += tensor.numel()
shared = OrderedDict((name, parameter.data) for name, parameter in shared.items())
write("checkpoint", {"epoch": 3, "lr": [0.1, 0.2], "state_dict": shared, "optimizer": {"betas": (0.9, 0.999)}})
