"""Reads the event files of `examples/callbacks.rs` with TensorBoard, and compares every figure with the history.

Install, in an environment of its own:  python3 -m venv tensorboard && tensorboard/bin/pip install tensorboard
Run:                                    cargo run --release --example callbacks FOLDER
                                        tensorboard/bin/python tests/peers/event_files.py FOLDER

FOLDER has one training. The figures are read twice: from the files, and from a server over its HTTP interface.
"""

import json
import os
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

#: How many batches lie between two figures of batches.
UPDATE_FREQ = 10


def expected(history):
    """The series by run and tag: lists of (step, value); no value where the history has none to compare with."""
    epochs = history["epochs"]
    series = {("train", f"epoch_{name}"): [(i, logs[name]) for i, logs in enumerate(epochs)]
              for name in ("loss", "accuracy")}
    series["train", "epoch_learning_rate"] = [(i, None) for i in range(len(epochs))]
    batches = len(epochs[0]["batch_losses"])
    steps = range(UPDATE_FREQ, len(epochs) * batches + 1, UPDATE_FREQ)
    series["train", "batch_loss"] = series["train", "batch_accuracy"] = [(step, None) for step in steps]
    for name in ("loss", "accuracy"):
        values = [logs[f"val_{name}"] for logs in epochs]
        series["validation", f"epoch_{name}"] = list(enumerate(values))
        steps = [batches * (i + 1) for i in range(len(epochs))]
        series["validation", f"evaluation_{name}_vs_iterations"] = list(zip(steps, values))
    return series


def compare(found, series, reader):
    assert set(found) == set(series), f"{reader}: expected {sorted(series)}, found {sorted(found)}"
    for key, points in series.items():
        assert [step for step, _ in found[key]] == [step for step, _ in points], (reader, key, found[key])
        for (step, value), (_, figure) in zip(found[key], points):
            assert figure is None or abs(value - figure) <= 1e-6 * abs(figure), (reader, key, step, value, figure)
    print(f"{reader}: {len(series)} series, {sum(map(len, series.values()))} figures agree")


def from_files(logs):
    found = {}
    for run in sorted(os.listdir(logs)):
        # 0: all of them.
        events = EventAccumulator(os.path.join(logs, run), size_guidance={"scalars": 0}).Reload()
        for tag in events.Tags()["scalars"]:
            found[run, tag] = [(event.step, event.value) for event in events.Scalars(tag)]
    return found


def from_server(logs, count):
    arguments = ["--logdir", logs, "--port", "0", "--samples_per_plugin", "scalars=100000"]
    command = [sys.executable, "-m", "tensorboard.main", *arguments]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        address = next(match[0] for line in server.stderr if (match := re.search(r"http://localhost:\d+", line)))
        ask = lambda path: json.load(urllib.request.urlopen(f"{address}/data/plugin/scalars/{path}", timeout=60))
        # The server answers before it has read all files.
        for _ in range(30):
            found = {}
            for run, tag in [(run, tag) for run, tags in ask("tags").items() for tag in tags]:
                points = ask("scalars?" + urllib.parse.urlencode({"run": run, "tag": tag}))
                found[run, tag] = [(step, value) for _, step, value in points]
            if sum(map(len, found.values())) >= count:
                break
            time.sleep(1)
        return found
    finally:
        server.terminate()
        server.wait()


folder = sys.argv[1]
with open(os.path.join(folder, "history.json")) as file:
    series = expected(json.load(file))
logs = os.path.join(folder, "logs")
compare(from_files(logs), series, "EventAccumulator")
compare(from_server(logs, sum(map(len, series.values()))), series, "the server")
