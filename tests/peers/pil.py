"""Writes `tests/fixtures/load_img`: an image, and PIL's results for the options of Keras' `load_img`.

Install, in an environment of its own:  python3 -m venv pil && pil/bin/pip install "pillow<13" numpy safetensors
Run:                                    pil/bin/python tests/peers/pil.py

Pillow 13 resizes along y first if that is less work, which rounds differently; Kiln keeps the order of
earlier versions.
"""

from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import save_file

FOLDER = Path(__file__).parent.parent / "fixtures" / "load_img"
SIZES = [(1, 1), (3, 41), (29, 5), (10, 6), (13, 40), (40, 17)]  # height, width
MODES = {"rgb": "RGB", "grayscale": "L"}

image = FOLDER / "image.png"
pixels = np.random.default_rng(0).integers(0, 256, (13, 17, 4), dtype=np.uint8)
Image.fromarray(pixels).save(image)

expected = {}
for color_mode, mode in MODES.items():
    converted = Image.open(image).convert(mode)
    for filter in Image.Resampling:
        for height, width in SIZES:
            resized = converted.resize((width, height), filter)
            shape = (height, width, len(converted.getbands()))
            expected[f"{color_mode} {filter.name.lower()} {height}x{width}"] = np.asarray(resized).reshape(shape)
save_file(expected, FOLDER / "expected.safetensors")
