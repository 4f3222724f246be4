"""LeNet learns Fashion-MNIST in torch and in Keras from the same weights and batches.

`python learning.py [--seeds 5] [--epochs 2] [--images 10000]` prints the test accuracy of every
seed and the spread between seeds, and fails if the frameworks' means differ by more than it.
`python learning.py FRAMEWORK JOB` is one of its processes: torch and TensorFlow each have one.
"""

from __future__ import annotations

import argparse
import json
import os
import runpy
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import netspec
from netspec.compiler import save_weights
from netspec.initial import initial_weights

FASHION = runpy.run_path(str(Path(__file__).with_name("fashion_mnist.py")))
BATCH, RATE, MOMENTUM = 64, 0.05, 0.9
Data = dict[str, NDArray[Any]]


def read(count: int) -> Data:
    """The first `count` images to learn from, and as many or all 10,000 to test with.

    Images are `(n, 1, 32, 32)` in float32 from -1 to 1, padded by two as LeNet wants them.
    """
    found: Data = {}
    for part, name in (("train", "train"), ("test", "t10k")):
        images, found[f"{part}_labels"] = FASHION["read"](name, count)
        padded = np.pad(images[:, None], ((0, 0), (0, 0), (2, 2), (2, 2)))
        found[f"{part}_images"] = (padded / 127.5 - 1).astype(np.float32)
    return found


def batches(seed: int, epochs: int, count: int) -> list[NDArray[np.int64]]:
    """The images of every step, which are the same in both frameworks."""
    generator = np.random.default_rng(seed)
    steps: list[NDArray[np.int64]] = []
    for _ in range(epochs):
        order = generator.permutation(count)
        steps += [order[i : i + BATCH] for i in range(0, count - BATCH + 1, BATCH)]
    return steps


def train_torch(job: dict[str, Any], data: Data, seed: int) -> float:
    import torch

    torch.set_num_threads(1)
    module = runpy.run_path(job["torch"])
    model = module["build_model"]()
    module["load_weights"](model, job["weights"][seed])
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)
    images, labels = torch.from_numpy(data["train_images"]), torch.from_numpy(data["train_labels"])
    model.train()
    for step in batches(seed, job["epochs"], len(images)):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(images[step]), labels[step].long())
        loss.backward()  # type: ignore[no-untyped-call] # torch gives it no types
        optimizer.step()
    model.eval()
    with torch.no_grad():
        predicted = model(torch.from_numpy(data["test_images"])).argmax(1).numpy()
    return float((predicted == data["test_labels"]).mean())


def train_keras(job: dict[str, Any], data: Data, seed: int) -> float:
    """With `fit`, which is given the batches one after the other."""
    import keras

    keras.backend.clear_session()
    module = runpy.run_path(job["keras"])
    model = module["build_model"]()
    module["load_weights"](model, job["weights"][seed])
    model.compile(
        keras.optimizers.SGD(RATE, momentum=MOMENTUM),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    images, test = (np.moveaxis(data[f"{part}_images"], 1, -1) for part in ("train", "test"))
    order = np.concatenate(batches(seed, job["epochs"], len(images)))
    per_epoch = len(order) // job["epochs"]
    for epoch in range(job["epochs"]):
        rows = order[epoch * per_epoch : (epoch + 1) * per_epoch]
        labels = data["train_labels"][rows]
        model.fit(images[rows], labels, batch_size=BATCH, shuffle=False, verbose=0)
    return float(model.evaluate(test, data["test_labels"], batch_size=500, verbose=0)[1])


def accuracies(seeds: int, epochs: int, count: int) -> dict[str, list[float]]:
    """Test accuracy by framework and seed."""
    graph = netspec.load("lenet5")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        weights = [str(folder / f"{seed}.safetensors") for seed in range(seeds)]
        for seed, path in enumerate(weights):
            save_weights(initial_weights(graph, seed), path)
        job: dict[str, Any] = {"weights": weights, "epochs": epochs, "count": count}
        for backend in ("torch", "keras"):
            job[backend] = str(folder / f"{backend}_lenet.py")
            Path(job[backend]).write_text(netspec.source("lenet5", backend=backend), "utf-8")
        (folder / "job.json").write_text(json.dumps(job), "utf-8")
        return {name: _run(name, folder / "job.json") for name in ("torch", "keras")}


def _run(framework: str, job: Path) -> list[float]:
    command = [sys.executable, "-W", "ignore", __file__, framework, str(job)]
    environment = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: list[float] = json.loads(done.stdout.splitlines()[-1])
    return found


def spread(found: dict[str, list[float]]) -> float:
    """Between seeds: the larger of the frameworks' standard deviations."""
    return max(statistics.stdev(values) for values in found.values())


def work(framework: str, path: str) -> None:
    job = json.loads(Path(path).read_text("utf-8"))
    train = {"torch": train_torch, "keras": train_keras}[framework]
    data = read(job["count"])
    print(json.dumps([train(job, data, seed) for seed in range(len(job["weights"]))]))


def main() -> int:
    parser = argparse.ArgumentParser(description="Does LeNet learn the same in both frameworks?")
    for name, default in (("seeds", 5), ("epochs", 2), ("images", 10_000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    if FASHION["folder"]() is None:
        print(FASHION["WHY_NOT"])
        return 1
    found = accuracies(args.seeds, args.epochs, args.images)
    print(
        f"LeNet-5 on {args.images:,} images of Fashion-MNIST, {args.epochs} epochs: test accuracy"
    )
    print("seed   torch   keras")
    for seed, pair in enumerate(zip(*found.values(), strict=True)):
        print(f"{seed:<4}" + "".join(f"{value:8.4f}" for value in pair))
    means = {name: statistics.mean(values) for name, values in found.items()}
    print("mean" + "".join(f"{mean:8.4f}" for mean in means.values()))
    apart, between = abs(means["torch"] - means["keras"]), spread(found)
    print(f"the means differ by {apart:.4f}, seeds by {between:.4f} (standard deviation)")
    return int(apart > between)


if __name__ == "__main__":
    if sys.argv[1:2] in (["torch"], ["keras"]):
        work(*sys.argv[1:])
    else:
        sys.exit(main())
