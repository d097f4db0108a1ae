"""A figure with its 95 % confidence interval, from repeated measurements."""

import math
import random
import statistics
from dataclasses import dataclass

RESAMPLES = 2000
TRIMMED = 0.2       # of the measurements at each end: when others ran on this machine


@dataclass
class Estimate:
    value: float
    low: float
    high: float


def estimate(blocks: list[list[float]]) -> Estimate:
    """The trimmed mean, and its bootstrap interval.

    Measurements of one block come from the same processes and err in the same direction (where their memory lies), so
    whole blocks are drawn, and then measurements in them. The same numbers always give the same interval."""
    draw = random.Random(1)
    means = sorted(trimmed_mean([value for block in draw.choices(blocks, k=len(blocks))
                                 for value in draw.choices(block, k=len(block))]) for _ in range(RESAMPLES))
    return Estimate(trimmed_mean([value for block in blocks for value in block]),
                    means[round(0.025 * (RESAMPLES - 1))], means[round(0.975 * (RESAMPLES - 1))])


def estimate_ratio(blocks: list[list[float]]) -> Estimate:
    """Of ratios: their logarithms are averaged, so that 2 and 1/2 cancel out."""
    found = estimate([[math.log(ratio) for ratio in block] for block in blocks])
    return Estimate(math.exp(found.value), math.exp(found.low), math.exp(found.high))


def trimmed_mean(values: list[float]) -> float:
    trimmed = math.floor(len(values) * TRIMMED)
    return statistics.fmean(sorted(values)[trimmed:len(values) - trimmed])
