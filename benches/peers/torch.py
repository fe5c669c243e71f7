"""PyTorch, with the networks of Kiln's benchmarks: the time of a prediction of one sample on the processor, as
`benches/latency.rs`, or with `--train` the speed of trainings and of single kernels, as `kiln bench`.

Install, in an environment of its own:  python3 -m venv torch && torch/bin/pip install torch torchvision numpy
Run:                                    torch/bin/python benches/peers/torch.py [--threads 2]
                                        torch/bin/python benches/peers/torch.py --train --device cuda
                                        torch/bin/python benches/peers/torch.py --variants [--steps 40] [--threads 2]

Each network predicts 300 samples one by one, after 10 that warm up, in `no_grad` and evaluation mode, with images and weights
in channels-last order; the outputs are read as numpy arrays. Without torchvision, only LeNet, `cifar10_deep` and VGG16 run.

Trainings are of LeNet and `cifar10_deep` with batches of 128 and Adam, and of InceptionV3 with SGD, on random images in
channels-last order: with fp32 (TF32 off), TF32, and automatic mixed precision (AMP). On CUDA, LeNet and `cifar10_deep` train both
eager and as a CUDA graph, InceptionV3 eager only. AMP scales the loss with a GradScaler on CUDA when eager, but not as a graph.
Kernels are square products, with AMP of matrices that are cast before, and the networks' convolutions with both gradients.

With `--variants`, LeNet and `cifar10_deep` train on the processor in fp32 in each form that may be the fastest: with images in
PyTorch's own and in channels-last order, eager and compiled by `torch.compile`. Each is timed five times after a warm-up; the
figures are the median and the five, then the same as JSON.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time

CALLS = 300
WARM_UP = 10
BATCH = 128
PRECISIONS = ("fp32", "tf32", "amp")
# Images, height and width, channels, filters, size of the kernel: convolutions without bias, padding `same`.
CONVOLUTIONS = (
    ("lenet.conv2", 128, 14, 20, 50, 5),
    ("cifar10_deep.conv2", 128, 32, 32, 32, 3),
    ("cifar10_deep.conv3", 128, 16, 32, 64, 3),
    ("inception_v3.conv2d_85", 8, 8, 2048, 320, 1),
    ("vgg16.block1_conv2", 8, 224, 64, 64, 3),
    ("vgg16.block3_conv2", 8, 56, 256, 256, 3),
    ("vgg16.block5_conv2", 8, 14, 512, 512, 3),
)


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


NETWORKS = (("lenet", lenet, (1, 28, 28)), ("cifar10_deep", cifar10_deep, (3, 32, 32)))


def vgg16_to_block4_pool(nn):
    """The first ten convolutions of VGG16 with their poolings."""
    layers, channels = [], 3
    for filters, count in ((64, 2), (128, 2), (256, 3), (512, 3)):
        for _ in range(count):
            layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU()]
            channels = filters
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


def predictions(torch, threads):
    """The latency of predictions on the processor."""
    torch.set_num_threads(threads)
    networks = [
        ("lenet", [1, 28, 28], lambda: lenet(torch.nn)),
        ("cifar10_deep", [3, 32, 32], lambda: cifar10_deep(torch.nn)),
        ("vgg16 to block4_pool", [3, 224, 224], lambda: vgg16_to_block4_pool(torch.nn)),
    ]
    inception = inception_v3()
    if inception:
        networks.append(("inception_v3", [3, 299, 299], inception))
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


def inception_v3():
    """A function that makes InceptionV3, if torchvision is installed."""
    try:
        import torchvision
    except Exception as error:
        print(f"without torchvision: no inception_v3 ({error})"[:120])
        return None
    return lambda: torchvision.models.inception_v3(weights=None, aux_logits=False, init_weights=False)


class Trainer:
    """Trains and times on a device."""

    def __init__(self, torch, device, steps):
        self.torch, self.device, self.steps = torch, torch.device(device), steps
        self.on_cuda = self.device.type == "cuda"
        self.half = torch.float16 if self.on_cuda else torch.bfloat16
        torch.backends.cudnn.benchmark = True

    def timed(self, run, steps=None):
        """Seconds of a run."""
        steps = steps or self.steps
        wait = self.torch.cuda.synchronize if self.on_cuda else lambda: None
        for _ in range(3):
            run()
        wait()
        start = time.perf_counter()
        for _ in range(steps):
            run()
        wait()
        return (time.perf_counter() - start) / steps

    def precision(self, name):
        """The context for operations in a precision."""
        tf32 = name == "tf32"
        self.torch.backends.cuda.matmul.allow_tf32 = tf32
        self.torch.backends.cudnn.allow_tf32 = tf32
        return self.torch.autocast(self.device.type, self.half, enabled=name == "amp")

    def random(self, *shape, memory_format=None):
        images = self.torch.rand(*shape, device=self.device)
        return images.to(memory_format=memory_format or self.torch.channels_last) if len(shape) == 4 else images

    def step(self, model, shape, classes, batch, precision, optimizer, scales, memory_format=None):
        """A function that trains with the same batch again and again."""
        torch, context = self.torch, self.precision(precision)
        x, y = self.random(batch, *shape, memory_format=memory_format), torch.randint(0, classes, (batch,), device=self.device)
        scaler = torch.amp.GradScaler(self.device.type, enabled=scales)

        def run():
            optimizer.zero_grad(set_to_none=True)
            with context:
                loss = torch.nn.functional.cross_entropy(model(x), y)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()

        return run

    def graph(self, run):
        """The function as a CUDA graph."""
        torch = self.torch
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                run()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            run()
        return graph.replay

    def report(self, label, measure):
        """A line of what was measured, or of why it was not."""
        try:
            print(f"{label:<42}{measure()}", flush=True)
        except Exception as error:
            print(f"{label:<42}failed: {error}"[:200], flush=True)

    def trainings(self):
        for name, make, shape in NETWORKS:
            for precision in PRECISIONS:
                for as_graph in (False, True) if self.on_cuda else (False,):

                    def measure():
                        # Without the softmax, which is part of the loss.
                        model = make(self.torch.nn)[:-1].to(self.device, memory_format=self.torch.channels_last)
                        parameters = model.parameters()
                        adam = self.torch.optim.Adam(parameters, fused=self.on_cuda, capturable=as_graph)
                        scales = precision == "amp" and self.on_cuda and not as_graph
                        run = self.step(model, shape, 10, BATCH, precision, adam, scales)
                        run = self.graph(run) if as_graph else run
                        return f"{BATCH / self.timed(run):12.0f} images/s"

                    self.report(f"training/{name} {precision} {'graph' if as_graph else 'eager'}", measure)

    def variants(self):
        """The rates of five timed trainings in each order of memory, eager and compiled."""
        results = []
        formats = (("contiguous", self.torch.contiguous_format), ("channels last", self.torch.channels_last))
        for name, make, shape in NETWORKS:
            for label, memory_format in formats:
                for compiled in (False, True):
                    label_of_run = f"{label}, {'compiled' if compiled else 'eager'}"

                    def measure():
                        model = make(self.torch.nn)[:-1].to(memory_format=memory_format)
                        adam = self.torch.optim.Adam(model.parameters())
                        forward = self.torch.compile(model) if compiled else model
                        run = self.step(forward, shape, 10, BATCH, "fp32", adam, False, memory_format)
                        rates = [BATCH / self.timed(run) for _ in range(5)]
                        results.append({"network": name, "variant": label_of_run, "rates": rates})
                        of = ", ".join(f"{rate:.0f}" for rate in rates)
                        return f"{statistics.median(rates):10.0f} images/s   of {of}"

                    self.report(f"training/{name} {label_of_run}", measure)
        return results

    def inception(self, batch):
        make = inception_v3()
        for precision in PRECISIONS if make else ():

            def measure():
                model = make().to(self.device, memory_format=self.torch.channels_last)
                sgd = self.torch.optim.SGD(model.parameters(), 1e-4, momentum=0.9)
                scales = precision == "amp" and self.on_cuda
                run = self.step(model, (3, 299, 299), 1000, batch, precision, sgd, scales)
                return f"{batch / self.timed(run, max(1, self.steps // 10)):12.1f} images/s"

            self.report(f"training/inception_v3 {precision} eager, batch {batch}", measure)

    def kernels(self, small):
        torch = self.torch
        for precision in PRECISIONS:
            for size in (256,) if small else (1024, 4096):
                a, b = self.random(size, size), self.random(size, size)

                if precision == "amp":
                    # autocast would cast them in each run; it casts a convolution's kernel and image only once.
                    a, b = a.to(self.half), b.to(self.half)

                def product():
                    with self.precision(precision):
                        seconds = self.timed(lambda: a @ b)
                    return f"{2e-12 * size**3 / seconds:12.2f} TFLOP/s"

                self.report(f"matmul_nn/square.{size} {precision}", product)
            for name, images, side, channels, filters, kernel in CONVOLUTIONS:
                images = 1 if small else images

                def convolution():
                    layer = torch.nn.Conv2d(channels, filters, kernel, padding=kernel // 2, bias=False)
                    layer = layer.to(self.device, memory_format=torch.channels_last)
                    x = self.random(images, channels, side, side).requires_grad_()
                    with self.precision(precision):
                        forward = self.timed(lambda: layer(x))
                        dy = torch.ones_like(layer(x))
                        both = self.timed(lambda: torch.autograd.grad(layer(x), (x, layer.weight), dy)) - forward
                    work = 2e-12 * images * side * side * channels * filters * kernel * kernel
                    return f"{work / forward:12.2f} TFLOP/s, its two gradients {2 * work / both:8.2f}"

                self.report(f"conv2d/{name} {precision}", convolution)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, help="threads per op (default: one per core)")
    parser.add_argument("--train", action="store_true", help="measure trainings and kernels instead of predictions")
    parser.add_argument("--variants", action="store_true", help="measure trainings on the processor in several forms")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="the device of trainings")
    parser.add_argument("--steps", type=int, default=100, help="steps to time; with less than 10, kernels are small")
    parser.add_argument("--inception-batch", type=int, default=32, help="the batch size of InceptionV3's training")
    args = parser.parse_args()
    if args.device == "cuda" and not args.train:
        parser.error("--device cuda: expected --train too; predictions are measured on the processor only")
    sys.path.pop(0)  # The folder of this file, which is called torch too.
    import torch

    threads = args.threads or len(os.sched_getaffinity(0))
    if not (args.train or args.variants):
        return predictions(torch, threads)
    torch.manual_seed(0)
    if args.variants:
        torch.set_num_threads(threads)
        versions = {"python": platform.python_version(), "torch": torch.__version__}
        print(f"{versions}, {threads} threads, {args.steps} steps a run", flush=True)
        results = Trainer(torch, "cpu", args.steps).variants()
        return print("\n" + json.dumps({"versions": versions, "steps": args.steps, "threads": threads, "results": results}))
    name = torch.cuda.get_device_name() if args.device == "cuda" else "the processor"
    print(f"python {platform.python_version()}, torch {torch.__version__}, {name}", flush=True)
    trainer = Trainer(torch, args.device, args.steps)
    trainer.trainings()
    trainer.kernels(small=args.steps < 10)
    trainer.inception(args.inception_batch)


if __name__ == "__main__":
    main()
