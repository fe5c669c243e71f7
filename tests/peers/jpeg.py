"""Writes `tests/fixtures/jpeg`: JPEG files of all kinds of sampling and coding, and the pixels that PIL (libjpeg-turbo) reads.

Install, in an environment of its own:  python3 -m venv pil && pil/bin/pip install pillow numpy safetensors
and libjpeg-turbo's cjpeg:              apt-get install libjpeg-turbo-progs
Run:                                    pil/bin/python tests/peers/jpeg.py
"""

import subprocess
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.numpy import save_file

FOLDER = Path(__file__).parent.parent / "fixtures" / "jpeg"
FOLDER.mkdir(exist_ok=True)

# Smooth colours, edges and some noise, as in a photograph: 37 x 45 pixels.
rows, columns = np.mgrid[:37, :45]
waves = [np.sin(rows / 5 + columns / (4 + i)) * 60 + columns * i + 90 for i in range(3)]
pixels = np.stack(waves, -1) + np.random.default_rng(0).normal(0, 6, (37, 45, 3))
pixels[(rows - 20) ** 2 + (columns - 15) ** 2 < 90] = (220, 30, 60)
image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def cjpeg(name, *arguments, picture=image):
    with tempfile.NamedTemporaryFile(suffix=".ppm") as file:
        picture.save(file.name)
        subprocess.run(["cjpeg", "-quality", "85", *arguments, "-outfile", FOLDER / name, file.name], check=True)


for sampling in ["1x1", "2x1", "1x2", "2x2", "4x1", "4x2", "2x4"]:
    cjpeg(f"{sampling}.jpg", "-sample", sampling)
    cjpeg(f"{sampling}_progressive.jpg", "-sample", sampling, "-progressive")
cjpeg("restart.jpg", "-sample", "2x2", "-restart", "2B")
cjpeg("restart_progressive.jpg", "-sample", "2x2", "-restart", "3B", "-progressive")
cjpeg("fine_colour.jpg", "-sample", "1x1,2x2,2x1")
cjpeg("rgb.jpg", "-rgb")
cjpeg("coarse.jpg", "-quality", "5")
cjpeg("fine.jpg", "-quality", "100")
cjpeg("narrow.jpg", "-sample", "2x2", picture=image.crop((0, 0, 3, 9)))
cjpeg("dot.jpg", "-sample", "2x2", picture=image.crop((0, 0, 1, 1)))
image.convert("L").save(FOLDER / "grey.jpg", quality=85)
image.convert("CMYK").save(FOLDER / "cmyk.jpg", quality=85)

expected = {file.stem: np.asarray(Image.open(file).convert("RGB")) for file in sorted(FOLDER.glob("*.jpg"))}
save_file(expected, FOLDER / "expected.safetensors")
