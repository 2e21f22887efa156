"""The built-in layout: nothing overlaps, arrows go forward, and drawings that can do without crossings have none."""

from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_edu.visualize.layout import lay_out

extents = st.tuples(st.floats(1, 120), st.floats(1, 60))


@st.composite
def graphs(draw):
    """Boxes of any size and arrows that run from earlier to later boxes, parallel ones included."""
    number = draw(st.integers(1, 9))
    boxes = {f"box{i}": draw(extents) for i in range(number)}
    ends = st.tuples(st.integers(0, number - 1), st.integers(0, number - 1)).filter(lambda pair: pair[0] < pair[1])
    pairs = draw(st.lists(ends, max_size=14)) if number > 1 else []
    labels = [draw(st.one_of(st.just((0.0, 0.0)), extents)) for _ in pairs]
    return boxes, [(f"box{a}", f"box{b}", size) for (a, b), size in zip(pairs, labels, strict=True)]


def overlap(place_a, size_a, place_b, size_b):
    return all(abs(place_a[k] - place_b[k]) < (size_a[k] + size_b[k]) / 2 - 1e-6 for k in (0, 1))


@given(graph=graphs())
def test_nothing_overlaps_and_all_is_inside(graph):
    boxes, arrows = graph
    layout = lay_out(boxes, arrows)
    things = [(layout.boxes[id], size) for id, size in boxes.items()]
    things += [(place, size) for place, (_, _, size) in zip(layout.labels, arrows, strict=True)]
    for (place_a, size_a), (place_b, size_b) in combinations(things, 2):
        assert not overlap(place_a, size_a, place_b, size_b)
    for place, size in things:
        for k in (0, 1):
            assert place[k] - size[k] / 2 >= -1e-6
            assert place[k] + size[k] / 2 <= layout.size[k] + 1e-6


@given(graph=graphs())
def test_arrows_run_forward_from_side_to_side(graph):
    boxes, arrows = graph
    layout = lay_out(boxes, arrows)
    for (src, dst, _), route, label in zip(arrows, layout.routes, layout.labels, strict=True):
        assert all(a[0] < b[0] for a, b in pairwise(route))
        assert label in route
        assert route[0][0] == pytest.approx(layout.boxes[src][0] + boxes[src][0] / 2)
        assert route[-1][0] == pytest.approx(layout.boxes[dst][0] - boxes[dst][0] / 2)
        assert abs(route[0][1] - layout.boxes[src][1]) <= boxes[src][1] / 2
        assert abs(route[-1][1] - layout.boxes[dst][1]) <= boxes[dst][1] / 2


def test_a_tree_is_drawn_without_crossings_even_when_given_in_a_bad_order():
    leaves = ["d", "a", "c", "b"]
    boxes = dict.fromkeys([*leaves, "ab", "cd", "root"], (20.0, 10.0))
    ends = [("a", "ab"), ("b", "ab"), ("c", "cd"), ("d", "cd"), ("ab", "root"), ("cd", "root")]
    layout = lay_out(boxes, [(src, dst, (5.0, 5.0)) for src, dst in ends])
    for (i, first), (j, second) in combinations(enumerate(layout.routes), 2):
        for (a, b), (c, d) in ((p, q) for p in pairwise(first) for q in pairwise(second)):
            if a[0] == c[0]:
                assert (a[1] - c[1]) * (b[1] - d[1]) >= 0, (ends[i], ends[j])


def test_the_same_drawing_every_time():
    boxes = dict.fromkeys("abcdef", (20.0, 10.0))
    arrows = [(a, b, (5.0, 5.0)) for a, b in ("ad", "ae", "bd", "bf", "ce", "cf", "df")]
    assert lay_out(boxes, arrows) == lay_out(boxes, arrows)


def test_no_boxes_and_cycles():
    assert lay_out({}, []).size == (0.0, 0.0)
    with pytest.raises(ValueError, match="the arrows form a cycle"):
        lay_out({"a": (1, 1), "b": (1, 1)}, [("a", "b", (1, 1)), ("b", "a", (1, 1))])
