"""A step length that satisfies the strong Wolfe conditions.

The loss must fall enough for the length of the step, f(t) <= f(0) + c1 t f'(0), and its slope must have flattened,
|f'(t)| <= c2 |f'(0)|. First a bracket is widened until it must hold such a t, then it is narrowed.

References
----------
.. [1] J. Nocedal and S. J. Wright, "Numerical Optimization", 2nd edition, Springer 2006, algorithms 3.5 and 3.6.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

__all__ = ["Point", "cubic_minimum", "strong_wolfe"]

ENOUGH, FLAT = 1e-4, 0.9  # c1 and c2


class Point(NamedTuple):
    """The loss at distance t along the direction: its value, gradient, and slope along the direction."""

    t: float
    value: float
    gradient: np.ndarray
    slope: float


def cubic_minimum(a: Point, b: Point, low: float, high: float) -> float:
    """Return where the cubic through two points with their slopes is lowest, kept in [low, high]."""
    if a.t > b.t:
        a, b = b, a
    middle = (low + high) / 2.0
    if a.t == b.t:
        return middle
    bend = a.slope + b.slope - 3 * (a.value - b.value) / (a.t - b.t)
    square = bend * bend - a.slope * b.slope
    if not 0 <= square < float("inf"):  # the cubic has no minimum, or the loss is not a number there
        return middle
    root = square**0.5
    curvature = b.slope - a.slope + 2 * root
    if curvature == 0:
        return middle
    t = b.t - (b.t - a.t) * ((b.slope + root - bend) / curvature)
    return min(max(t, low), high)


def strong_wolfe(
    at: Callable[[float], Point],
    start: Point,
    t: float,
    length: float,
    tolerance: float,
    most: int,
    flat_enough: float = FLAT,
) -> tuple[Point, int]:
    """Search along a direction.

    Parameters
    ----------
    at : callable
        Evaluates the loss at a distance.
    start : Point
        The point at distance 0.
    t : float
        The first distance to try.
    length : float
        The largest component of the direction; a bracket shorter than `tolerance` in every parameter is not narrowed further.
    most : int
        The largest number of trials after the first.
    flat_enough : float
        The factor c2.

    Returns
    -------
    The best point and the number of evaluations.
    """

    def too_high(point: Point) -> bool:
        return point.value > start.value + ENOUGH * point.t * start.slope

    def flat(point: Point) -> bool:
        return abs(point.slope) <= -flat_enough * start.slope

    before, point, trials = start, at(t), 0
    while trials < most:
        if too_high(point) or (trials > 1 and point.value >= before.value) or (point.slope >= 0 and not flat(point)):
            break
        if flat(point):
            return point, trials + 1
        nearest, farthest = point.t + 0.01 * (point.t - before.t), point.t * 10
        t = cubic_minimum(before, point, nearest, farthest)
        before, point, trials = point, at(t), trials + 1
    else:
        before = start
    return _narrow(at, too_high, flat, [before, point], length, tolerance, trials, most)


def _narrow(
    at: Callable[[float], Point], too_high: Callable[[Point], bool], flat: Callable[[Point], bool], bracket: list[Point],
    length: float, tolerance: float, trials: int, most: int,
) -> tuple[Point, int]:  # fmt: skip
    """Replace one end of the bracket after the other until the lower one satisfies the conditions."""
    stuck, done = False, False
    low, high = sorted(bracket, key=lambda p: p.value)  # the lower end, and the other
    while not done and trials < most and abs(high.t - low.t) * length >= tolerance:
        t, stuck = _next_trial(low, high, stuck)
        point, trials = at(t), trials + 1
        if too_high(point) or point.value >= low.value:
            high = point
            if high.value < low.value:
                low, high = high, low
        else:
            done = flat(point)
            if not done and point.slope * (high.t - low.t) >= 0:
                high = low
            low = point
    return low, trials + 1


def _next_trial(low: Point, high: Point, stuck: bool) -> tuple[float, bool]:
    """Return the cubic's minimum, moved off the bracket's ends when it keeps landing there."""
    least, most = sorted((low.t, high.t))
    t = cubic_minimum(low, high, least, most)
    margin = 0.1 * (most - least)
    if min(most - t, t - least) >= margin:
        return t, False
    if stuck or t >= most or t <= least:
        return (most - margin if abs(t - most) < abs(t - least) else least + margin), False
    return t, True
