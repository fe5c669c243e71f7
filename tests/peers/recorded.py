"""The file format of these scripts: tensors named `CASE.NAME`, and the list of cases as JSON in the metadata."""

import json
import pathlib
import struct

FIXTURES = pathlib.Path(__file__).parent.parent / "fixtures"
TYPES = {"float32": "F32", "int32": "I32"}


def save(name, cases):
    """Writes `fixtures/NAME.safetensors`. Each case is a description and its arrays by name."""
    header = {"__metadata__": {"cases": json.dumps([description for description, _ in cases])}}
    data = b""
    for number, (_, arrays) in enumerate(cases):
        for key, array in arrays.items():
            end = len(data) + array.nbytes
            kind = TYPES[str(array.dtype)]
            header[f"{number}.{key}"] = {"dtype": kind, "shape": array.shape, "data_offsets": [len(data), end]}
            data += array.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path = FIXTURES / f"{name}.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    print(f"{path}: {len(cases)} cases, {path.stat().st_size} bytes")
