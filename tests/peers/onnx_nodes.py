"""Runs the tests of operators of the `onnx` package with Kiln: how many agree, are refused, and differ.

Install, in an environment of its own:
    python3 -m venv onnx && onnx/bin/pip install onnx safetensors
Run:
    onnx/bin/python tests/peers/onnx_nodes.py target/release/kiln            # a table by operator
    onnx/bin/python tests/peers/onnx_nodes.py target/release/kiln refusals   # and why others are refused

The tests are those of `onnx.backend.test` for the operators that Kiln has as layers, and the models of single PyTorch operators
(`pytorch-converted`, `pytorch-operator`). All inputs but the first become tensors of the file, as weights are; the first is
Kiln's input with the channels last. A test differs if Kiln predicts other values than the package has recorded: none may.
"""

import collections
import os
import pathlib
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases
from safetensors.numpy import load_file, save_file

warnings.filterwarnings("ignore")
OPERATORS = """Add AveragePool BatchNormalization Cast Celu Clip Concat Conv ConvTranspose Div Dropout Elu Exp Flatten Gelu Gemm
GlobalAveragePool GlobalMaxPool GroupNormalization HardSigmoid HardSwish Identity InstanceNormalization LayerNormalization
LeakyRelu LogSoftmax MatMul Max MaxPool Mean Min Mish Mul Neg PRelu Pad ReduceMax ReduceMean Relu Reshape Resize Selu Shrink
Sigmoid Slice Softmax Softplus Softsign Split Squeeze Sub Sum Tanh ThresholdedRelu Transpose Unsqueeze Upsample""".split()
ELEMENTWISE = """Celu Clip Elu Exp Gelu HardSigmoid HardSwish LeakyRelu Mish Neg Relu Selu Shrink Sigmoid Softplus Softsign Tanh
ThresholdedRelu""".split()
# Kiln has the channels of sequences last that begin with one of these.
OF_SEQUENCES = "Conv ConvTranspose MaxPool AveragePool BatchNormalization InstanceNormalization GroupNormalization".split()
HELPERS = ["Constant", "Shape", "Gather"]
DATA = pathlib.Path(onnx.__file__).parent / "backend" / "test" / "data"


def cases():
    for case in collect_testcases(None):
        if "expanded" not in case.name:
            yield case.name, case.model, case.data_sets[0]
    for folder in ["pytorch-converted", "pytorch-operator"]:
        for test in sorted((DATA / folder).iterdir()):
            def read(kind):
                files = sorted((test / "test_data_set_0").glob(f"{kind}_*.pb"))
                return [numpy_helper.to_array(onnx.load_tensor(file)) for file in files]

            yield f"{folder}/{test.name}", onnx.load(test / "model.onnx"), (read("input"), read("output"))


def images_last(x, sequences=False):
    return np.ascontiguousarray(np.moveaxis(x, 1, -1) if x.ndim == 4 or sequences and x.ndim == 3 else x)


def outcome(kiln, model, inputs, outputs, folder):
    graph = model.graph
    known = {tensor.name for tensor in graph.initializer}
    names = [value.name for value in graph.input if value.name not in known]
    # The first output; others are masks and statistics.
    del graph.output[1:]
    x = inputs[0]
    if not isinstance(x, np.ndarray) or x.dtype != np.float32 or outputs[0].dtype != np.float32:
        return "other types", ""
    if x.ndim == 1 and len(inputs) == 1 and graph.node[0].op_type in ELEMENTWISE:
        # A batch of one sample.
        x, outputs = x[None], [outputs[0][None]]
        graph.input[0].type.CopyFrom(onnx.helper.make_tensor_type_proto(1, x.shape))
    if x.ndim < 2:
        return "refused", "an input without a batch of samples"
    for name, value in zip(names[1:], inputs[1:]):
        graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    onnx.save(model, folder / "m.onnx")
    first = [node.op_type for node in graph.node if node.op_type not in [*HELPERS, "Pad"]][:1]
    sequences = bool(first) and first[0] in OF_SEQUENCES
    save_file({"x": images_last(x, sequences)}, folder / "x.safetensors")
    (folder / "y.safetensors").unlink(missing_ok=True)
    call = [kiln, "predict", folder / "m.onnx", "--input", folder / "x.safetensors", "--output", folder / "y.safetensors"]
    run = subprocess.run([str(part) for part in call], capture_output=True, text=True, env={"KILN_DEVICE": "cpu", **os.environ})
    if run.returncode != 0:
        problem = run.stderr.strip().splitlines()[0].replace(f"error: {folder}/m.onnx: ", "")
        return ("differ", run.stderr) if "panicked" in run.stderr else ("refused", problem)
    found, expected = load_file(folder / "y.safetensors")["y"], outputs[0]
    for candidate in [expected, images_last(expected, sequences)]:
        if candidate.shape == found.shape and np.allclose(found, candidate, rtol=1e-3, atol=1e-5):
            return "agree", ""
    return "differ", f"{found.shape}, expected {expected.shape}"


counts, notes = collections.defaultdict(collections.Counter), []
with tempfile.TemporaryDirectory() as folder:
    for name, model, (inputs, outputs) in cases():
        operators = [node.op_type for node in model.graph.node if node.op_type not in HELPERS]
        if not operators or not set(operators) <= set(OPERATORS):
            continue
        found, why = outcome(sys.argv[1], model, inputs, outputs, pathlib.Path(folder))
        counts[operators[0]][found] += 1
        notes.append((found, name, why))
kinds = ["agree", "refused", "differ", "other types"]
print("| operator | " + " | ".join(kinds) + " |\n|---|" + "---|" * len(kinds))
for operator in sorted(counts):
    print(f"| {operator} | " + " | ".join(str(counts[operator][kind]) for kind in kinds) + " |")
totals = [sum(count[kind] for count in counts.values()) for kind in kinds]
print("| all | " + " | ".join(map(str, totals)) + " |")
shown = ["differ", "refused"] if sys.argv[2:] else ["differ"]
for found, name, why in notes:
    if found in shown:
        print(f"{found}: {name}: {why}")
sys.exit(1 if totals[2] else 0)
