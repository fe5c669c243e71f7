"""PyTorch on the processor, with the networks of `benches/latency.rs`: the time of a prediction of one sample.

Install, in an environment of its own:  python3 -m venv torch && torch/bin/pip install torch torchvision numpy
Run:                                    torch/bin/python benches/peers/torch.py [--threads 2]

Each network predicts 300 samples one by one, after 10 that warm up, in `no_grad` and evaluation mode, with images and weights
in channels-last order; the outputs are read as numpy arrays. Without torchvision, only LeNet, `cifar10_deep` and VGG16 run.
"""

import argparse
import os
import platform
import sys
import time

CALLS = 300
WARM_UP = 10


def lenet(nn):
    """As `kiln::models::lenet`, for 28 x 28 x 1."""
    return nn.Sequential(
        nn.Conv2d(1, 20, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(20, 50, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(7 * 7 * 50, 500), nn.ReLU(), nn.Linear(500, 10), nn.Softmax(1),
    )


def cifar10_deep(nn):
    """As `kiln::models::cifar10_deep`, for 32 x 32 x 3."""
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25),
        nn.Flatten(), nn.Linear(7 * 7 * 64, 512), nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, 10), nn.Softmax(1),
    )


def vgg16_to_block4_pool(nn):
    """The first ten convolutions of VGG16 with their poolings."""
    layers, channels = [], 3
    for filters, count in ((64, 2), (128, 2), (256, 3), (512, 3)):
        for _ in range(count):
            layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU()]
            channels = filters
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, help="threads per op (default: one per core)")
    args = parser.parse_args()
    sys.path.pop(0)  # The folder of this file, which is called torch too.
    import torch

    threads = args.threads or len(os.sched_getaffinity(0))
    torch.set_num_threads(threads)
    networks = [
        ("lenet", [1, 28, 28], lambda: lenet(torch.nn)),
        ("cifar10_deep", [3, 32, 32], lambda: cifar10_deep(torch.nn)),
        ("vgg16 to block4_pool", [3, 224, 224], lambda: vgg16_to_block4_pool(torch.nn)),
    ]
    try:
        import torchvision

        inception = lambda: torchvision.models.inception_v3(weights=None, aux_logits=False, init_weights=False)
        networks.append(("inception_v3", [3, 299, 299], inception))
    except ImportError:
        print("without torchvision: no inception_v3")

    print(f"python {platform.python_version()}, torch {torch.__version__}, {threads} threads")
    print(f"{'us a sample':<22}{'median':>10}{'99th percentile':>18}")
    for name, shape, make in networks:
        model = make().eval().to(memory_format=torch.channels_last)
        samples = [torch.rand(1, *shape).to(memory_format=torch.channels_last) for _ in range(4)]
        times = []
        with torch.no_grad():
            for call in range(WARM_UP + CALLS):
                start = time.perf_counter()
                model(samples[call % 4]).numpy()
                times.append((time.perf_counter() - start) * 1e6)
        times = sorted(times[WARM_UP:])
        print(f"{name:<22}{times[CALLS // 2]:>10.0f}{times[CALLS * 99 // 100]:>18.0f}", flush=True)


if __name__ == "__main__":
    main()
