# SPDX-License-Identifier: MIT
"""Medians with intervals, and what they say about a goal.

Runs come in pairs: in each repetition ours and the other one ran beside each other, so
what the machine did to one it did to both, and the ratio of the two is what counts.  The
interval of the median of those ratios is the one between two of them in order, chosen by
the binomial distribution: it assumes nothing about how they are spread.
"""
import math
import statistics


def interval(values, level=0.95):
    """The median of VALUES, and the order statistics that hold it with probability LEVEL.

    With fewer than six values no two of them do; then these are the least and the
    greatest, and who reports them says how few there were.
    """
    ordered, number = sorted(values), len(values)
    rank, below = 0, 0.0
    while True:
        below += math.comb(number, rank) / 2 ** number
        if 2 * below > 1 - level or rank >= number // 2:
            break
        rank += 1
    rank = max(rank, 1)  # of the lower end, counted from 1
    return statistics.median(ordered), ordered[rank - 1], ordered[number - rank]


def verdict(goal, low, high, at_most):
    """Met or missed only if the whole interval says so."""
    if goal is None:
        return ""
    if at_most:
        return "met" if high <= goal else "missed" if low > goal else "undecided"
    return "met" if low >= goal else "missed" if high < goal else "undecided"
