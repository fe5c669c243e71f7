"""Kiln, Keras and PyTorch in turn, A B C A B C, on the processor: images per second of training LeNet and `cifar10_deep`.

    python3 benches/peers/compare.py --keras keras/bin/python --torch torch/bin/python [--rounds 2] [--busy 1]

`keras.py` and `torch.py` say how to install their environments; Kiln is `target/release/kiln`. Prints the table of
BENCHMARKS.md: for each round the median and, in brackets, the best rate of each program, and the ratio of Kiln's best to the
best of both others over all rounds. PyTorch's figures are of the form, of four, with the best median.

`--busy N` runs N busy loops beside each program, as other processes on a shared machine would. `taskset -c 0 python3
benches/peers/compare.py ...` measures with one core: all three count the cores that they may use.
"""

import argparse
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
NETWORKS = ("lenet", "cifar10_deep")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kiln", default="target/release/kiln", help="Kiln's command (default: target/release/kiln)")
    parser.add_argument("--keras", required=True, help="a Python with Keras and TensorFlow")
    parser.add_argument("--torch", required=True, help="a Python with PyTorch")
    parser.add_argument("--rounds", type=int, default=2, help="runs of each program (default 2)")
    parser.add_argument("--steps", type=int, default=40, help="training steps per timing of the peers (default 40)")
    parser.add_argument("--seconds", type=float, default=1, help="kiln bench --seconds (default 1)")
    parser.add_argument("--busy", type=int, default=0, help="busy loops beside the programs (default 0)")
    return parser.parse_args()


@contextlib.contextmanager
def busy_loops(count):
    """Processes that do nothing but use a core each."""
    loops = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def output(command, **environment):
    """The standard output of a program."""
    run = subprocess.run(command, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if run.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{run.stderr[-2000:]}")
    return run.stdout


def kiln(args):
    command = [args.kiln, "bench", "training/", "--json", "--seconds", str(args.seconds)]
    report = json.loads(output(command, KILN_DEVICE="cpu"))
    if report["failures"]:
        sys.exit(f"kiln bench failed: {report['failures']}")
    rates = {}
    for training in report["trainings"]:
        network = training["id"].removeprefix("training/")
        rates[network] = training["median_images_per_second"], training["images_per_second"]
    return rates


def peer(command):
    """The rates of the fastest form of each network."""
    rates = {}
    for result in json.loads(output(command).splitlines()[-1])["results"]:
        found = statistics.median(result["rates"]), max(result["rates"])
        rates[result["network"]] = max(found, rates.get(result["network"], found))
    return rates


def keras(args):
    return peer([args.keras, str(HERE / "keras.py"), "--steps", str(args.steps)])


def torch(args):
    return peer([args.torch, str(HERE / "torch.py"), "--variants", "--steps", str(args.steps)])


PROGRAMS = (("Kiln", kiln), ("Keras", keras), ("PyTorch", torch))


def main():
    args = arguments()
    rounds = []
    with busy_loops(args.busy):
        for number in range(args.rounds):
            rounds.append({name: measure(args) for name, measure in PROGRAMS})
            print(f"round {number + 1}: {json.dumps(rounds[-1])}", file=sys.stderr, flush=True)
    names = [name for name, _ in PROGRAMS]
    print(f"| {os.cpu_count()} cores, {args.busy} busy loops | " + " | ".join(names * args.rounds) + " | Kiln to the best peer |")
    print("|---" * (len(names) * args.rounds + 2) + "|")
    for network in NETWORKS:
        cells = [rates[name][network] for rates in rounds for name in names]
        best = {name: max(rates[name][network][1] for rates in rounds) for name in names}
        ratio = best["Kiln"] / max(best["Keras"], best["PyTorch"])
        shown = [f"{median:,.0f} ({fastest:,.0f})" for median, fastest in cells]
        print(f"| {network} | " + " | ".join(shown) + f" | {ratio:.2f} |")


if __name__ == "__main__":
    main()
