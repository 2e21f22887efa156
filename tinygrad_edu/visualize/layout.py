"""Where boxes, arrows and labels go when Graphviz is not there to say so: layers, after Sugiyama et al. (1981).

Four steps, each a function: (1) a box's *layer* is the longest way to it; (2) an arrow becomes a chain of *stations*,
one in each layer it passes, and one of them carries its label, so that labels get room of their own; (3) stations are
ordered within their layers so that few arrows cross; (4) each layer is moved as close as its order and the sizes allow
to where its neighbours would like it.

Below, ``along`` is the direction of the arrows and ``across`` the one at right angles to it.
"""

from __future__ import annotations

import random
from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

Size = tuple[float, float]
Point = tuple[float, float]
Station = str | tuple[int, int]  # a box's id, or (arrow number, layer) where an arrow passes a layer
Neighbours = dict[Station, list[Station]]
Pulls = dict[Station, list[tuple[Station, float]]]  # neighbours, and how far off their places they pull

GAP_ALONG = 20.0
GAP_ACROSS = 14.0
PASSING_ARROW = 6.0
SWEEPS = 12
STARTS = 16
PATIENCE = 2000  # links to look at: a large drawing gets fewer starts


@dataclass
class Layout:
    """Centres of boxes and labels, the points each arrow runs through (box sides included), and the whole size."""

    boxes: dict[str, Point] = field(default_factory=dict)
    routes: list[list[Point]] = field(default_factory=list)
    labels: list[Point] = field(default_factory=list)
    size: Size = (0.0, 0.0)


def lay_out(boxes: dict[str, Size], arrows: Sequence[tuple[str, str, Size]]) -> Layout:
    """Lay out boxes of the sizes ``(along, across)`` and arrows ``(src, dst, label size)``, which form no cycle."""
    layer_of = assign_layers(boxes, arrows)
    chains, labels, sizes = thread_arrows(boxes, arrows, layer_of)
    links = [link for chain in chains for link in pairwise(chain)]
    layers: list[list[Station]] = [[] for _ in range(1 + max(layer_of.values(), default=-1))]
    for station, layer in layer_of.items():
        layers[layer].append(station)
    layers = order_layers(layers, links)
    shifts = spread_ends(chains, layers, boxes)
    across = place_across(layers, chains, shifts, sizes)
    along, length = place_along(layers, sizes)
    lowest = min((across[s] - sizes[s][1] / 2 for s in across), default=0.0)
    highest = max((across[s] + sizes[s][1] / 2 for s in across), default=0.0)
    centre = {s: (along[layer_of[s]], across[s] - lowest) for s in across}
    routes = []
    for chain, shift in zip(chains, shifts, strict=True):
        points = [(centre[s][0], centre[s][1] + by) for s, by in zip(chain, shift, strict=True)]
        points[0] = (points[0][0] + sizes[chain[0]][0] / 2, points[0][1])  # from the far side of one box
        points[-1] = (points[-1][0] - sizes[chain[-1]][0] / 2, points[-1][1])  # to the near side of the other
        routes.append(points)
    return Layout(
        boxes={id: centre[id] for id in boxes},
        routes=routes,
        labels=[centre[station] for station in labels],
        size=(length, highest - lowest),
    )


def assign_layers(boxes: dict[str, Size], arrows: Sequence[tuple[str, str, Size]]) -> dict[Station, int]:
    """Even layers for boxes, by the longest way from a start; starts move up to just before their first reader."""
    import networkx

    graph = networkx.DiGraph()
    graph.add_nodes_from(boxes)
    graph.add_edges_from((src, dst) for src, dst, _ in arrows)
    try:
        generations = list(networkx.topological_generations(graph))
    except networkx.NetworkXUnfeasible as error:
        raise ValueError("the arrows form a cycle; the graph of a calculation has none") from error
    layer_of = {id: 2 * number for number, generation in enumerate(generations) for id in generation}
    for id in boxes:
        if graph.in_degree(id) == 0 and graph.out_degree(id) > 0:
            layer_of[id] = min(layer_of[reader] for reader in graph.successors(id)) - 2
    return {id: layer_of[id] for id in boxes}


def thread_arrows(
    boxes: dict[str, Size], arrows: Sequence[tuple[str, str, Size]], layer_of: dict[Station, int]
) -> tuple[list[list[Station]], list[Station], dict[Station, Size]]:
    """The chain of stations of each arrow, the station of its label, and all sizes. New stations join ``layer_of``."""
    chains, labels = [], []
    sizes: dict[Station, Size] = {id: size for id, size in boxes.items()}  # noqa: C416 (keys of a wider type)
    for number, (src, dst, label_size) in enumerate(arrows):
        first, last = layer_of[src] + 1, layer_of[dst] - 1
        stations: list[Station] = [(number, layer) for layer in range(first, last + 1)]
        layer_of |= {(number, layer): layer for layer in range(first, last + 1)}
        sizes |= dict.fromkeys(stations, (0.0, PASSING_ARROW))
        label = stations[2 * ((last - first) // 4)]  # an odd layer near the middle: boxes stand in the even ones
        sizes[label] = label_size
        labels.append(label)
        chains.append([src, *stations, dst])
    return chains, labels, sizes


def order_layers(layers: list[list[Station]], links: list[tuple[Station, Station]]) -> list[list[Station]]:
    """The order with fewest crossings that sweeps find from several starts: the given order, then shuffled ones."""
    before, after = neighbours(links, layers)
    best, fewest = [list(layer) for layer in layers], crossings(layers, before)
    shuffle = random.Random(0).shuffle  # our own and seeded: a drawing always looks the same
    for _ in range(max(1, min(STARTS, PATIENCE // (1 + len(links))))):
        for sweep in range(SWEEPS):
            sweep_over(layers, before, after, forward=sweep % 2 == 0)
            count = crossings(layers, before)
            if count < fewest:
                best, fewest = [list(layer) for layer in layers], count
        if fewest == 0:
            break
        for layer in layers:
            shuffle(layer)
    return best


def sweep_over(layers: list[list[Station]], before: Neighbours, after: Neighbours, forward: bool) -> None:
    """Put each station at the mean place of its neighbours in the layer swept before, then undo needless crossings."""
    near, step = (before, 1) if forward else (after, -1)
    for number in range(len(layers))[::step]:
        if 0 <= number - step < len(layers):
            sort_by_mean(layers[number], near, place_in(layers[number - step]))
    for number in range(len(layers)):
        place = place_in(layers[number - 1] if number else []) | place_in(*layers[number + 1 : number + 2])
        swap_pairs(layers[number], before, after, place)


def place_in(layer: Sequence[Station] = ()) -> dict[Station, int]:
    return {station: place for place, station in enumerate(layer)}


def sort_by_mean(layer: list[Station], near: Neighbours, place: dict[Station, int]) -> None:
    """Sort a layer by the mean place of each station's neighbours; a station without any stays where it is."""
    own = place_in(layer)
    means = {s: sum(place[n] for n in near[s]) / len(near[s]) if near[s] else own[s] for s in layer}
    layer.sort(key=means.__getitem__)


def swap_pairs(layer: list[Station], before: Neighbours, after: Neighbours, place: dict[Station, int]) -> None:
    """Swap two stations that stand side by side wherever that undoes crossings: equal means hide such gains."""
    for i in range(len(layer) - 1):
        first, second = layer[i], layer[i + 1]
        pairs = [(place[a], place[b]) for near in (before, after) for a in near[first] for b in near[second]]
        if sum(a > b for a, b in pairs) > sum(a < b for a, b in pairs):
            layer[i], layer[i + 1] = second, first


def neighbours(links: list[tuple[Station, Station]], layers: list[list[Station]]) -> tuple[Neighbours, Neighbours]:
    """Each station's neighbours in the layer before it and in the layer after it."""
    before: Neighbours = {station: [] for layer in layers for station in layer}
    after: Neighbours = {station: [] for layer in layers for station in layer}
    for a, b in links:
        after[a].append(b)
        before[b].append(a)
    return before, after


def crossings(layers: list[list[Station]], before: Neighbours) -> int:
    """How many pairs of links cross: pairs that start in one order and end in the other."""
    total = 0
    for left, right in pairwise(layers):
        place = {station: i for i, station in enumerate(left)}
        seen: list[int] = []
        for station in right:
            starts = sorted(place[n] for n in before[station])
            total += sum(len(seen) - bisect_right(seen, start) for start in starts)
            for start in starts:
                insort(seen, start)
    return total


def spread_ends(chains: list[list[Station]], layers: list[list[Station]], boxes: dict[str, Size]) -> list[list[float]]:
    """How far from its centre ``across`` each arrow touches a station: arrows that share a side are spread over it."""
    place = {station: i for layer in layers for i, station in enumerate(layer)}
    shifts = [[0.0] * len(chain) for chain in chains]
    for end, inner in ((0, 1), (-1, -2)):
        for id, (_, across) in boxes.items():
            mine = sorted(
                (i for i, chain in enumerate(chains) if chain[end] == id), key=lambda i: place[chains[i][inner]]
            )
            for rank, i in enumerate(mine):
                shifts[i][end] = across * (rank - (len(mine) - 1) / 2) * min(0.25, 0.7 / len(mine))
    return shifts


def place_across(
    layers: list[list[Station]], chains: list[list[Station]], shifts: list[list[float]], sizes: dict[Station, Size]
) -> dict[Station, float]:
    """Let each layer in turn go where its neighbours pull it, as near as order and sizes allow (least squares)."""
    from scipy.optimize import isotonic_regression

    before: Pulls = {station: [] for layer in layers for station in layer}
    after: Pulls = {station: [] for layer in layers for station in layer}
    for chain, shift in zip(chains, shifts, strict=True):
        for (a, shift_a), (b, shift_b) in pairwise(zip(chain, shift, strict=True)):
            after[a].append((b, shift_b - shift_a))
            before[b].append((a, shift_a - shift_b))
    both = {station: before[station] + after[station] for station in before}
    position: dict[Station, float] = {}
    offsets = []
    for layer in layers:
        thick = np.array([sizes[station][1] for station in layer])
        offset = np.concatenate([[0.0], np.cumsum((thick[:-1] + thick[1:]) / 2 + GAP_ACROSS)])
        offsets.append(offset)
        position |= dict(zip(layer, offset - offset[-1] / 2, strict=True))
    # One side at a time lets long chains become straight in one sweep; both sides at once finish the details.
    for pulls, step in [(before, 1), (after, -1)] * SWEEPS + [(before, 1)] + [(both, -1), (both, 1)] * 2:
        for number in range(len(layers))[::step]:
            layer = layers[number]
            wished = np.array([wish(s, pulls, both, position) for s in layer])
            weight = np.array([1.0 if isinstance(s, str) else 3.0 for s in layer])  # long arrows like to be straight
            # Keeping distances between ordered stations is keeping (position - offset) from falling.
            settled = isotonic_regression(wished - offsets[number], weights=weight).x + offsets[number]
            position |= dict(zip(layer, settled.tolist(), strict=True))
    return position


def wish(station: Station, pulls: Pulls, both: Pulls, position: dict[Station, float]) -> float:
    """Where a station's neighbours on the side of ``pulls`` want it; where it has none there, those of both sides."""
    wanted = [position[neighbour] + by for neighbour, by in pulls[station] or both[station]]
    return sum(wanted) / len(wanted) if wanted else position[station]


def place_along(layers: list[list[Station]], sizes: dict[Station, Size]) -> tuple[list[float], float]:
    """The middle of each layer, as thick as its thickest station, and the length of all."""
    middles, edge = [], 0.0
    for layer in layers:
        thick = max((sizes[station][0] for station in layer), default=0.0)
        middles.append(edge + thick / 2)
        edge += thick + GAP_ALONG
    return middles, max(edge - GAP_ALONG, 0.0)
