"""Measured calls added up by name, and the table they are printed as."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

__all__ = ["EventList", "FunctionEventAvg", "average"]

COLUMNS = ("Name", "Self CPU %", "Self CPU", "CPU total %", "CPU total", "CPU time avg", "# of Calls")


@dataclass
class FunctionEventAvg:
    """All calls of one name; times in microseconds.

    Attributes
    ----------
    key : str
        The name.
    count : int
        How many calls.
    cpu_time_total, self_cpu_time_total : float
        The time of all of them, with and without the measured calls inside.
    input_shapes : tuple
        The shapes of the arguments, where they are told apart.
    """

    key: str
    input_shapes: tuple = ()
    count: int = 0
    cpu_time_total: float = 0.0
    self_cpu_time_total: float = 0.0

    @property
    def cpu_time(self) -> float:
        """Microseconds per call."""
        return self.cpu_time_total / self.count


def average(events: Iterable[Any], by_shape: bool) -> "EventList":
    """Add up events of the same name (and shapes)."""
    found: dict[tuple, FunctionEventAvg] = {}
    for event in events:
        key = event.name, event.input_shapes if by_shape else ()
        row = found.setdefault(key, FunctionEventAvg(*key))
        row.count += 1
        row.cpu_time_total += event.cpu_time_total
        row.self_cpu_time_total += event.self_cpu_time_total
    return EventList(found.values())


class EventList(list):
    """A list of :class:`FunctionEventAvg` that prints as a table."""

    def table(
        self,
        sort_by: str | None = None,
        row_limit: int = 100,
        max_src_column_width: int = 75,
        max_name_column_width: int = 55,
        max_shapes_column_width: int = 80,
        header: str | None = None,
        top_level_events_only: bool = False,
    ) -> str:
        """Return the rows as text, the largest first.

        Parameters
        ----------
        sort_by : str, optional
            One of "cpu_time", "cpu_time_total", "self_cpu_time_total", "count".
        row_limit : int
            How many rows; -1 for all.
        max_name_column_width, max_shapes_column_width : int
            Longer texts are cut.
        header : str, optional
            A line above the table.
        max_src_column_width, top_level_events_only
            Accepted, and change nothing: no source lines are noted, and all events are shown.

        Raises
        ------
        AttributeError
            If `sort_by` is not a column.
        """
        rows = list(self)
        if sort_by is not None:
            known = ("cpu_time", "cpu_time_total", "self_cpu_time_total", "count")
            if sort_by not in known:
                raise AttributeError(
                    f"table: cannot sort by {sort_by!r}, nothing of that name was measured. Fix: one of {known}."
                )
            rows.sort(key=lambda row: getattr(row, sort_by), reverse=True)
        rows = rows[:row_limit] if row_limit >= 0 else rows
        everything = sum(row.self_cpu_time_total for row in self)
        with_shapes = any(row.input_shapes for row in self)
        heads = [*COLUMNS, "Input Shapes"] if with_shapes else list(COLUMNS)
        cells = [_cells(row, everything, max_name_column_width) for row in rows]
        if with_shapes:
            for line, row in zip(cells, rows, strict=True):
                line.append(_cut(str([list(s) for s in row.input_shapes]), max_shapes_column_width))
        return _layout(heads, cells, header) + f"\nSelf CPU time total: {_time(everything)}\n"

    def __str__(self) -> str:
        return self.table()


def _cells(row: FunctionEventAvg, everything: float, width: int) -> list[str]:
    share = 100 / everything if everything else 0.0
    return [
        _cut(row.key, width),
        f"{row.self_cpu_time_total * share:.2f}%", _time(row.self_cpu_time_total),
        f"{row.cpu_time_total * share:.2f}%", _time(row.cpu_time_total), _time(row.cpu_time), str(row.count),
    ]  # fmt: skip


def _layout(heads: list[str], cells: list[list[str]], header: str | None) -> str:
    widths = [max(len(line[i]) for line in (heads, *cells)) for i in range(len(heads))]
    rule = "  ".join("-" * width for width in widths)
    lines = ["  ".join(c.rjust(w) for c, w in zip(line, widths, strict=True)) for line in (heads, *cells)]
    return "\n".join([*([header] if header else []), rule, lines[0], rule, *lines[1:], rule])


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."


def _time(microseconds: float) -> str:
    if microseconds >= 1e6:
        return f"{microseconds / 1e6:.3f}s"
    return f"{microseconds / 1e3:.3f}ms" if microseconds >= 1e3 else f"{microseconds:.3f}us"
