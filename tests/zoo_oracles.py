"""Networks of the zoo that torchvision lacks, written independently in plain torch.

Their state dicts have the order of the specs' checkpoints, under other names.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional


def alexnet_cifar() -> nn.Module:
    """https://github.com/bearpaw/pytorch-classification, models/cifar/alexnet.py."""
    layers: list[nn.Module] = []
    channels = 3
    for out, kernel, stride, padding, pool in (
        *((64, 11, 4, 5, True), (192, 5, 1, 2, True), (384, 3, 1, 1, False)),
        *((256, 3, 1, 1, False), (256, 3, 1, 1, True)),
    ):
        layers += [nn.Conv2d(channels, out, kernel, stride, padding), nn.ReLU()]
        layers += [nn.MaxPool2d(2, 2)] if pool else []
        channels = out
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(256, 10))


class Parallel(nn.Module):
    """Modules that read the same value, and what joins their results."""

    def __init__(
        self, join: Callable[[list[torch.Tensor]], torch.Tensor], *branches: nn.Module
    ) -> None:
        super().__init__()
        self.join = join
        self.branches = nn.ModuleList(branches)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.join([branch(x) for branch in self.branches])


def concatenated(values: list[torch.Tensor]) -> torch.Tensor:
    return torch.cat(values, 1)


def added(values: list[torch.Tensor]) -> torch.Tensor:
    return values[0] + values[1]


def units(channels: int, *rows: tuple[int, int]) -> list[nn.Module]:
    """Convolution, batch norm and ReLU for each (out, kernel)."""
    layers: list[nn.Module] = []
    for out, kernel in rows:
        layers += [nn.Conv2d(channels, out, kernel, padding=kernel // 2)]
        layers += [nn.BatchNorm2d(out), nn.ReLU()]
        channels = out
    return layers


def googlenet_cifar() -> nn.Module:
    """https://github.com/kuangliu/pytorch-cifar, models/googlenet.py."""
    layers = units(3, (192, 3))
    channels = 192
    rows: Sequence[Sequence[int]] = (
        *((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64), ()),
        *((192, 96, 208, 16, 48, 64), (160, 112, 224, 24, 64, 64), (128, 128, 256, 24, 64, 64)),
        *((112, 144, 288, 32, 64, 64), (256, 160, 320, 32, 128, 128), ()),
        *((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
    )
    for row in rows:
        if not row:
            layers.append(nn.MaxPool2d(3, stride=2, padding=1))
            continue
        n1, r3, n3, r5, n5, pool = row
        branches = (
            units(channels, (n1, 1)),
            units(channels, (r3, 1), (n3, 3)),
            units(channels, (r5, 1), (n5, 3), (n5, 3)),
            [nn.MaxPool2d(3, stride=1, padding=1), *units(channels, (pool, 1))],
        )
        layers.append(Parallel(concatenated, *(nn.Sequential(*b) for b in branches)))
        channels = n1 + n3 + n5 + pool
    return nn.Sequential(*layers, nn.AvgPool2d(8), nn.Flatten(), nn.Linear(1024, 10))


class Shift(nn.Module):
    """Each channel convolved with a kernel that has one 1; the last channels with the central."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.padding = kernel // 2
        weight = torch.zeros(channels, kernel**2)
        for channel in range(channels):
            place = channel // (channels // kernel**2)
            weight[channel, place if place < kernel**2 else kernel**2 // 2] = 1
        self.weight = weight.view(channels, 1, kernel, kernel)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.conv2d(
            x, self.weight.to(x), padding=self.padding, groups=len(self.weight)
        )


def shift_resnet20() -> nn.Module:
    """https://github.com/alvinwan/shiftresnet-cifar, models/shiftresnet.py, expansion 6."""
    layers = [nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    channels = 16
    for out, i in itertools.product((16, 32, 64), range(3)):
        stride = 2 if i == 0 and out > 16 else 1
        long = nn.Sequential(
            *(nn.Conv2d(channels, 6 * out, 1, bias=False), nn.BatchNorm2d(6 * out), nn.ReLU()),
            *(Shift(6 * out, 3), nn.Conv2d(6 * out, out, 1, stride, bias=False)),
            nn.BatchNorm2d(out),
        )
        short = nn.Sequential()
        if channels != out:
            short = nn.Sequential(
                nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out)
            )
        layers += [Parallel(added, long, short), nn.ReLU()]
        channels = out
    return nn.Sequential(*layers, nn.AvgPool2d(8), nn.Flatten(), nn.Linear(64, 10))


def shiftnet_a() -> nn.Module:
    """https://arxiv.org/abs/1711.08141: out, units, kernel and expansions by stage."""
    layers: list[nn.Module] = [nn.Conv2d(3, 32, 7, 2, 3, bias=False)]
    channels = 32
    for out, count, kernel, first, others in (
        *((64, 5, 5, 4, 4), (128, 6, 5, 4, 3)),
        *((256, 7, 3, 3, 2), (512, 3, 3, 2, 1)),
    ):
        for i in range(count):
            new, expansion = (out - channels, first) if i == 0 else (out, others)
            wide = new * expansion
            long = nn.Sequential(
                *(nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, wide, 1, bias=False)),
                *(Shift(wide, kernel), nn.BatchNorm2d(wide), nn.ReLU()),
                nn.Conv2d(wide, new, 1, 2 if i == 0 else 1, bias=False),
            )
            short = nn.AvgPool2d(3, 2, 1) if i == 0 else nn.Identity()
            layers.append(Parallel(concatenated if i == 0 else added, long, short))
            channels = out
    layers += [nn.BatchNorm2d(512), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(512, 1000))
