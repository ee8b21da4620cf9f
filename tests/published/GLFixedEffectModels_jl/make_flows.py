"""Draw the flows of GLFixedEffectModels.jl's test as Julia's StableRNG(1234) does."""

import csv
import math
from itertools import product
from pathlib import Path

ORIGINS, DESTINATIONS, PERIODS = 9, 9, 6
# Where the tail of the exponential's ziggurat begins, and the area of each of its layers.
TAIL, AREA = 7.6971174701310497140446280481, 0.0039496598225815571993
MANTISSA = 2**52


class StableRNG:
    """The Lehmer generator of StableRNGs.jl: 128 bits of state, the upper 64 are returned."""

    def __init__(self, seed):
        self.state = 2 * seed + 1

    def bits(self):
        self.state = self.state * 0x45A31EFC5A35D971261FD0407A968ADD % 2**128
        return (self.state >> 64) % MANTISSA

    def uniform(self):
        return self.bits() / MANTISSA


def ziggurat():
    """Return the layers of the exponential: accepted integers, widths and heights."""
    accept, width, height = [0] * 256, [0.0] * 256, [1.0] * 256
    edge, width[255], height[255] = TAIL, TAIL / MANTISSA, math.exp(-TAIL)
    accept[0] = int(TAIL * height[255] / AREA * MANTISSA)
    width[0] = AREA / height[255] / MANTISSA
    for layer in range(254, 0, -1):
        x = -math.log(AREA / edge + height[layer + 1])
        accept[layer + 1] = int(x / edge * MANTISSA)
        width[layer], height[layer], edge = x / MANTISSA, math.exp(-x), x
    return accept, width, height


ACCEPT, WIDTH, HEIGHT = ziggurat()


def exponential(rng):
    while True:
        bits = rng.bits()
        layer = bits % 256
        x = bits * WIDTH[layer]
        if bits < ACCEPT[layer]:
            return x
        if layer == 0:
            return TAIL - math.log(rng.uniform())
        low, high = HEIGHT[layer], HEIGHT[layer - 1]
        if (high - low) * rng.uniform() + low < math.exp(-x):
            return x


def poisson(rng):
    count, time = 0, exponential(rng)
    while time < 1:
        count, time = count + 1, time + exponential(rng)
    return count


def main():
    rng = StableRNG(1234)
    rows = list(product(range(ORIGINS), range(DESTINATIONS), range(PERIODS)))
    x = [rng.uniform() for _ in rows]
    y = [poisson(rng) + 1 for _ in rows]
    path = Path(__file__).with_name("flows.csv")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["i", "j", "t", "x", "y"])
        writer.writerows([*row, *values] for row, *values in zip(rows, x, y, strict=True))


if __name__ == "__main__":
    main()
