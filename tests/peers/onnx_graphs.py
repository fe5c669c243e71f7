"""Records small ONNX graphs of one to three operators with onnxruntime: `tests/fixtures/onnx/graphs.safetensors`.

Install, in an environment of its own:  python3 -m venv onnx && onnx/bin/pip install onnx onnxruntime safetensors
Run:                                    onnx/bin/python tests/peers/onnx_graphs.py

For each case the file has the graph (`NAME/model`), its inputs `NAME/x0`, ... and onnxruntime's outputs `NAME/y0`, ..., in
Kiln's order of axes: the channels last. A case without outputs is one that Kiln must refuse. An output whose
last operator works along another axis has the file's order (`plain`). Recorded with onnx 1.23 and onnxruntime 1.32.
"""

import pathlib

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

FILE = pathlib.Path(__file__).parent.parent / "fixtures" / "onnx" / "graphs.safetensors"
draw = np.random.default_rng(7)
arrays = {}


def last(x, sequences):
    if x.ndim == 4 or sequences and x.ndim == 3:
        x = np.moveaxis(x, 1, -1)
    return np.ascontiguousarray(x)


def record(name, nodes, inputs, weights={}, outputs=("y",), opset=17, batch="n", sequences=False, refused=False, dtype=np.float32,
           low=-2.0, shapes={}, plain=False):
    """`inputs` are the shapes of samples; `shapes` replaces those of weights in the file."""
    types = {np.float32: TensorProto.FLOAT, np.uint8: TensorProto.UINT8, np.int64: TensorProto.INT64}
    tensors = []
    for key, value in weights.items():
        value = np.asarray(value)
        tensors.append(numpy_helper.from_array(value.astype(np.float32) if value.dtype == np.float64 else value, key))
        if key in shapes:
            del tensors[-1].dims[:]
            tensors[-1].dims.extend(shapes[key])
    graph = helper.make_graph(
        [node if isinstance(node, onnx.NodeProto) else helper.make_node(node[0], node[1].split(), node[2].split(), **node[3]) for node in nodes],
        "graph",
        [helper.make_tensor_value_info(key, types[dtype], [batch, *shape]) for key, shape in inputs.items()],
        [helper.make_tensor_value_info(key, TensorProto.FLOAT, None) for key in outputs],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    count = batch if isinstance(batch, int) else 3
    x = {key: draw.uniform(low, 2, [count, *shape]).astype(dtype) for key, shape in inputs.items()}
    if dtype == np.uint8:
        x = {key: draw.integers(0, 256, [count, *shape]).astype(dtype) for key, shape in inputs.items()}
    arrays[f"{name}/model"] = np.frombuffer(model.SerializeToString(), np.uint8)
    if refused:
        return
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    for i, (key, value) in enumerate(x.items()):
        arrays[f"{name}/x{i}"] = last(value.astype(np.float32), sequences)
    for i, value in enumerate(session.run(None, x)):
        arrays[f"{name}/y{i}"] = value if plain else last(value, sequences)


def normal(*shape):
    return draw.normal(size=shape).astype(np.float32)


def ints(*values):
    return np.array(values, np.int64)


# Sequences.
for name, kernel, options in [
    ("padded", (6, 2, 3), {"pads": [1, 2], "strides": [2], "group": 2}),
    ("causal", (5, 4, 3), {"pads": [4, 0], "dilations": [2]}),
    ("same", (5, 4, 3), {"pads": [1, 1], "kernel_shape": [3]}),
    ("same lower", (5, 4, 2), {"auto_pad": "SAME_LOWER"}),
    ("depthwise", (8, 1, 3), {"group": 4}),
]:
    record(f"Conv of sequences, {name}", [("Conv", "x w b", "y", options)], {"x": (4, 9)},
           {"w": normal(*kernel), "b": normal(kernel[0])}, sequences=True)
record("Conv and ConvTranspose of sequences", [("Conv", "x w", "a", {}), ("ConvTranspose", "a v b", "y", {"strides": [2], "pads": [1, 1], "output_padding": [1]})],
       {"x": (4, 9)}, {"w": normal(3, 4, 2), "v": normal(3, 2, 3), "b": normal(2)}, sequences=True)
record("Pad and Conv of sequences", [("Pad", "x p", "a", {}), ("Conv", "a w", "y", {})], {"x": (4, 6)},
       {"p": ints(0, 0, 2, 0, 0, 1), "w": normal(3, 4, 3)}, sequences=True)
record("Conv of sequences and an Add", [("Conv", "x w", "a", {}), ("Add", "a b", "y", {})], {"x": (4, 6)},
       {"w": normal(3, 4, 3), "b": normal(3, 1)}, sequences=True)
record("Conv of sequences and an Add along the steps", [("Conv", "x w", "a", {}), ("Add", "a b", "c", {}), ("MaxPool", "c", "y", {"kernel_shape": [2]})], {"x": (4, 6)},
       {"w": normal(4, 4, 3), "b": normal(1, 4)}, sequences=True)
# Poolings.
for op, options in [("MaxPool", {}), ("AveragePool", {}), ("AveragePool", {"count_include_pad": 1})]:
    counted = ", padding counts" if options else ""
    for name, size, pads, strides in [
        ("one padded", [3, 3], [1, 1, 1, 1], [2, 2]), ("shifted", [3, 4], [0, 1, 1, 1], [2, 3]), ("same", [2, 2], [0, 0, 1, 0], [2, 2])
    ]:
        record(f"{op}, {name}{counted}", [(op, "x", "y", {"kernel_shape": size, "pads": pads, "strides": strides, **options})], {"x": (2, 7, 8)},
               low=-3)
    record(f"{op} of sequences{counted}", [(op, "x", "y", {"kernel_shape": [3], "pads": [1, 1], "strides": [2], **options})], {"x": (2, 8)},
           sequences=True, low=-3)
    record(f"{op} of sequences, two padded{counted}", [(op, "x", "y", {"kernel_shape": [5], "pads": [2, 1], "strides": [1], **options})], {"x": (2, 8)},
           sequences=True, low=-3)
for op in ["MaxPool", "AveragePool"]:
    record(f"{op}, rounded up", [(op, "x", "y", {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1})], {"x": (2, 6, 7)})
    record(f"{op}, rounded up to a window in the padding", [(op, "x", "y", {"kernel_shape": [3, 3], "strides": [3, 3], "pads": [1, 1, 1, 1], "ceil_mode": 1})],
           {"x": (2, 5, 5)})
record("AveragePool, rounded up to a window in the padding, padding counts",
       [("AveragePool", "x", "y", {"kernel_shape": [3, 3], "strides": [3, 3], "pads": [1, 1, 1, 1], "ceil_mode": 1, "count_include_pad": 1})], {"x": (2, 2, 2)})
record("MaxPool of values above 0, rounded up", [("Relu", "x", "a", {}), ("MaxPool", "a", "y", {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "ceil_mode": 1})],
       {"x": (2, 6, 7)})
record("GlobalAveragePool of sequences", [("Conv", "x w", "a", {}), ("GlobalAveragePool", "a", "y", {})], {"x": (4, 6)}, {"w": normal(3, 4, 3)}, sequences=True)
# Parts.
record("Split in halves", [("Split", "x", "a b", {"axis": 1}), ("Sub", "b a", "y", {})], {"x": (6, 3, 2)})
record("Split of rows", [("Split", "x s", "a b c", {"axis": 2}), ("Concat", "c a", "y", {"axis": 2})], {"x": (2, 6, 3)}, {"s": ints(2, 3, 1)}, plain=True)
record("Split with a smaller part", [("Split", "x", "a b c", {"axis": -1, "num_outputs": 3}), ("Concat", "c b a", "y", {"axis": -1})], {"x": (2, 3, 8)}, opset=18,
       plain=True)
record("Split, old", [("Split", "x", "a b", {"axis": 1, "split": [1, 4]}), ("Mul", "a b", "y", {})], {"x": (5,)}, opset=11)
record("Split into other lengths", [("Split", "x s", "a b", {"axis": 1}), ("Mul", "a b", "y", {})], {"x": (5,)}, {"s": ints(1, 3)}, refused=True)
record("Split of the batch", [("Split", "x", "a b", {"axis": 0}), ("Mul", "a b", "y", {})], {"x": (5,)}, refused=True)
record("Slice of channels", [("Slice", "x a b c", "y", {})], {"x": (5, 3, 2)}, {"a": ints(1), "b": ints(-1), "c": ints(1)})
record("Slice of all axes", [("Slice", "x a b c d", "y", {})], {"x": (5, 6, 4)},
       {"a": ints(1, -3, 0), "b": ints(4, 2**63 - 1, 2), "c": ints(1, 2, -1), "d": ints(1, 1, 1)})
record("Slice of vectors", [("Slice", "x a b c", "y", {})], {"x": (7,)}, {"a": ints(2), "b": ints(5), "c": ints(1)})
record("Slice of sequences", [("Conv", "x w", "a", {}), ("Slice", "a s e c", "y", {})], {"x": (4, 8)},
       {"w": normal(3, 4, 3), "s": ints(0, 1), "e": ints(2, 5), "c": ints(1, 2)}, sequences=True)
record("Slice in steps", [("Slice", "x a b c d", "y", {})], {"x": (7,)}, {"a": ints(0), "b": ints(7), "c": ints(1), "d": ints(2)}, refused=True)
record("Slice, reversed", [("Slice", "x a b c d", "y", {})], {"x": (7,)},
       {"a": ints(-1), "b": ints(-(2**63)), "c": ints(1), "d": ints(-1)}, refused=True)
record("Slice of the batch", [("Slice", "x a b c", "y", {})], {"x": (7,)}, {"a": ints(0), "b": ints(2), "c": ints(0)}, refused=True)
record("Gather of a row", [("Gather", "x i", "y", {"axis": 2})], {"x": (3, 4, 2)}, {"i": np.array(-2, np.int64)})
record("Gather of a channel", [("Gather", "x i", "a", {"axis": 1}), ("Softmax", "a", "y", {"axis": -1})], {"x": (3, 4, 2)}, {"i": np.array(1, np.int64)})
record("Gather of channels", [("Gather", "x i", "y", {"axis": 1})], {"x": (5, 3, 2)}, {"i": ints(2, 3)})
record("Gather of channels in another order", [("Gather", "x i", "y", {"axis": 1})], {"x": (5, 3, 2)}, {"i": ints(3, 2)}, refused=True)
# Several inputs and outputs.
record("two inputs and outputs", [("Conv", "x w", "a", {}), ("ReduceMean", "a", "b", {"axes": [2, 3], "keepdims": 0}), ("Concat", "b v", "c", {"axis": 1}),
                                  ("Gemm", "c k", "z", {}), ("Relu", "a", "y", {})], {"x": (2, 4, 4), "v": (3,)},
       {"w": normal(4, 2, 3, 3), "k": normal(7, 2)}, outputs=("z", "y"))
record("an input as an output", [("Neg", "x", "y", {})], {"x": (2, 3, 3)}, outputs=("y", "y2"), refused=True)
record("copies", [("Identity", "x", "y", {}), ("Identity", "x", "z", {})], {"x": (2, 3, 3)}, outputs=("y", "z"))
# Bounds, which may be far larger than the values.
for low, high in [(-1e9, 0.5), (None, 0.25), (0.25, 1.5), (-1.5, -0.25), (None, -0.25), (-0.25, None), (-1e30, 1e30), (0.25, None), (-3e4, 0.5), (0.0, 0.0)]:
    bounds = {key: np.float32(value) for key, value in [("low", low), ("high", high)] if value is not None}
    names = f"x {'low' if low is not None else ''}".strip().split() if high is None else None
    node = helper.make_node("Clip", names or ["x", "low" if low is not None else "", "high"], ["y"])
    record(f"Clip {low} {high}", [node], {"x": (11,)}, bounds)
record("Clip, old", [("Clip", "x", "y", {"min": -1.25, "max": 0.75})], {"x": (11,)}, opset=7)
# Factors and biases.
gemm = {"w": normal(4, 3), "c": normal(3), "b": normal(3)}
record("Gemm without bias, and an Add", [("Gemm", "x w", "a", {"beta": 0.5}), ("Add", "a b", "y", {})], {"x": (4,)}, gemm)
record("Gemm with factors, and an Add", [("Gemm", "x w c", "a", {"alpha": 2.0, "beta": 0.5}), ("Add", "a b", "y", {})], {"x": (4,)}, gemm)
record("Gemm with a number as bias", [("Gemm", "x w c", "y", {"beta": 3.0})], {"x": (4,)}, {**gemm, "c": normal(1)})
record("Gemm with a bias of samples", [("Gemm", "x w c", "y", {})], {"x": (4,)}, {**gemm, "c": normal(3, 1)}, batch=3, refused=True)
record("MatMul and an Add of more axes", [("MatMul", "x w", "a", {}), ("Add", "a b", "y", {})], {"x": (4,)}, {**gemm, "b": normal(1, 1, 3)}, refused=True)
record("MatMul of images", [("MatMul", "x w", "a", {}), ("Add", "a b", "y", {})], {"x": (2, 3, 4)}, {"w": normal(4, 5), "b": normal(5)}, plain=True)
# Old softmax over all axes from one on; numbers instead of floats.
record("Softmax, old", [("GlobalMaxPool", "x", "a", {}), ("Softmax", "a", "y", {"axis": 1})], {"x": (5, 2, 3)}, opset=11)
record("Softmax of several axes, old", [("Softmax", "x", "y", {"axis": 1})], {"x": (5, 2, 3)}, opset=11, refused=True)
record("bytes", [("Cast", "x", "a", {"to": TensorProto.FLOAT}), ("Div", "a s", "y", {})], {"x": (3, 2, 2)}, {"s": np.float32(255)}, dtype=np.uint8)
record("whole numbers", [("Div", "x s", "y", {})], {"x": (3,)}, {"s": np.array(2, np.int64)}, dtype=np.int64, refused=True)
# Refused by name.
record("Clip with bounds of channels", [("Clip", "x low", "y", {})], {"x": (2,)}, {"low": normal(2)}, refused=True)
record("Pad with several values", [("Pad", "x p v", "y", {})], {"x": (2, 3, 3)}, {"p": ints(0, 0, 1, 1, 0, 0, 1, 1), "v": normal(2)}, refused=True)
record("Dropout with several ratios", [("Dropout", "x r", "y", {})], {"x": (3,)}, {"r": normal(2)}, refused=True)
groups = {"w": normal(4), "b": normal(4)}
record("GroupNormalization", [("GroupNormalization", "x w b", "y", {"num_groups": 2})], {"x": (4, 3, 2)}, groups, opset=21)
for number in [-1, 0, 3]:
    record(f"GroupNormalization with {number} groups", [("GroupNormalization", "x w b", "y", {"num_groups": number})], {"x": (4, 3, 2)}, groups, opset=21,
           refused=True)
record("BatchNormalization in training, old", [("BatchNormalization", "x w b m v", "y a b2 c d", {})], {"x": (4, 3, 2)},
       {**groups, "m": normal(4), "v": normal(4) ** 2}, opset=9, refused=True)
record("Squeeze of a single sample", [("Squeeze", "x", "a", {}), ("Softmax", "a", "y", {"axis": 1})], {"x": (5, 1, 3)}, batch=1, refused=True)
record("ConvTranspose with gaps", [("ConvTranspose", "x w", "y", {"auto_pad": "SAME_UPPER", "strides": [3, 3]})], {"x": (2, 3, 3)}, {"w": normal(2, 2, 2, 2)},
       refused=True)
record("ConvTranspose, same", [("ConvTranspose", "x w", "y", {"auto_pad": "SAME_UPPER", "strides": [2, 2]})], {"x": (2, 3, 3)}, {"w": normal(2, 2, 3, 3)})
record("Conv of no groups", [("Conv", "x w", "y", {"group": -1})], {"x": (2, 3, 3)}, {"w": normal(2, 2, 2, 2)}, refused=True)
record("an attribute of another type", [("MaxPool", "x", "y", {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1.0})], {"x": (2, 3, 3)}, refused=True)
record("no elements but huge extents", [("Reshape", "e s", "a", {}), ("Add", "x a", "y", {})], {"x": (3,)}, {"e": normal(0), "s": ints(0, 2**40, 2**20)},
       shapes={"e": [0, 2**40, 2**20]}, refused=True)
record("a Slice of no elements", [("Slice", "e a b", "c", {}), ("Add", "x c", "y", {})], {"x": (3,)}, {"e": normal(0), "a": ints(0), "b": ints(2**62)},
       shapes={"e": [2**40, 0]}, refused=True)

save_file(arrays, FILE)
print(len([key for key in arrays if key.endswith("/model")]), "graphs,", FILE.stat().st_size, "bytes, onnx", onnx.__version__, "onnxruntime", onnxruntime.__version__)
