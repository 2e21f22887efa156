"""The table of layers: its rows and totals, and how they are written as text and as HTML."""

from dataclasses import dataclass
from html import escape

__all__ = ["LayerRow", "Summary", "bytes_in_words"]

HEADS = ("Layer (type)", "Output shape", "Parameters", "Multiply-adds", "Memory")


@dataclass
class LayerRow:
    """One call of one layer.

    Attributes
    ----------
    name, kind : str
        The layer's dotted name in the model, and its class.
    depth : int
        How many layers it is inside of.
    output_shape : tuple of int
        Of its (first) output, without the batch; () for a layer that was not called.
    parameters : int
        Its own parameters, without those of the layers inside it and without those that were counted in a row above.
    formula : str
        The product of lengths that gives them, such as ``1*20*5*5 + 20``.
    multiply_adds : int
        Products added to a sum, in its own convolutions and products of matrices.
    output_bytes : int
        Memory of its outputs; 0 for a layer of which other layers make the output.
    note : str
        What is special about it: called again, or not at all.
    """

    name: str
    kind: str
    depth: int = 0
    output_shape: tuple[int, ...] = ()
    parameters: int = 0
    formula: str = ""
    multiply_adds: int = 0
    output_bytes: int = 0
    note: str = ""


@dataclass
class Summary:
    """What ``tg.summary`` returns; printing it shows the table, and a notebook shows it as HTML.

    Attributes
    ----------
    rows : tuple of LayerRow
        In the order of the calls.
    total, trainable : int
        Numbers of parameters, each counted once.
    multiply_adds : int
        Of the whole run.
    input_shapes : tuple of shapes
        With the batch; () where nothing was run.
    input_bytes, output_bytes, parameter_bytes : int
        Memory of the inputs, of all layers' outputs, and of the parameters.
    """

    rows: tuple[LayerRow, ...]
    total: int
    trainable: int
    channels_last: bool = False
    multiply_adds: int = 0
    input_shapes: tuple[tuple[int, ...], ...] = ()
    input_bytes: int = 0
    output_bytes: int = 0
    parameter_bytes: int = 0

    @property
    def training_bytes(self) -> int:
        """An estimate for one step of training: inputs, outputs and parameters, the latter two with their gradients."""
        return self.input_bytes + 2 * self.output_bytes + 2 * self.parameter_bytes

    def _shape(self, row: LayerRow) -> tuple[int, ...]:
        shape = row.output_shape
        return (*shape[1:], shape[0]) if self.channels_last and len(shape) == 3 else shape

    def __str__(self) -> str:
        return as_text(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return as_html(self)


def bytes_in_words(count: int) -> str:
    """Return a number of bytes in KiB (1024 bytes) or a larger unit.

    Examples
    --------
    >>> from tinygrad_edu.utils.summary_table import bytes_in_words
    >>> bytes_in_words(80), bytes_in_words(46080), bytes_in_words(5 * 2**20)
    ('80 B', '45.0 KiB', '5.00 MiB')
    """
    if count < 1000:
        return f"{count} B"
    if count < 1000 * 2**10:
        return f"{count / 2**10:.1f} KiB"
    return f"{count / 2**20:.2f} MiB" if count < 1000 * 2**20 else f"{count / 2**30:.2f} GiB"


def _body(table: Summary) -> list[tuple[str, ...]]:
    """The cells of every row; a layer inside of another is named as that one names it."""
    body, outer = [], [""]
    for row in table.rows:
        del outer[row.depth + 1 :]
        inside = next((f"{name}." for name in reversed(outer) if name and row.name.startswith(f"{name}.")), "")
        body.append(_cells(table, row, row.name.removeprefix(inside)))
        outer.append(row.name)
    return body


def _cells(table: Summary, row: LayerRow, shown: str) -> tuple[str, ...]:
    counted = row.parameters and row.formula not in ("", str(row.parameters))
    parameters = f"{row.formula} = {row.parameters:,}" if counted else f"{row.parameters:,}"
    return (
        f"{'  ' * row.depth}{shown} ({row.kind})",
        str(table._shape(row)) if row.output_shape else "",
        f"{parameters} ({row.note})" if row.note else parameters,
        f"{row.multiply_adds:,}" if row.multiply_adds else "",
        bytes_in_words(row.output_bytes) if row.output_bytes else "",
    )


def _totals(table: Summary) -> list[str]:
    """The lines below the table."""
    lines = [f"Total parameters: {table.total:,}"]
    if table.trainable != table.total:
        lines.append(f"Trainable: {table.trainable:,}, frozen: {table.total - table.trainable:,}")
    if table.input_shapes:
        parts = (("inputs", table.input_bytes), ("outputs", table.output_bytes), ("parameters", table.parameter_bytes))
        memory = ", ".join(f"{name} {bytes_in_words(count)}" for name, count in parts)
        shapes = ", ".join(map(str, table.input_shapes))
        lines += [
            f"Multiply-adds: {table.multiply_adds:,} for an input {shapes}",
            f"Memory: {memory}; a training step about {bytes_in_words(table.training_bytes)}",
        ]
    return lines


def as_text(table: Summary) -> str:
    """Write the table with aligned columns."""
    body = _body(table)
    used = [i for i in range(len(HEADS)) if i in (0, 2) or any(cells[i] for cells in body)]
    widths = [max(len(cells[i]) for cells in (HEADS, *body)) for i in range(len(HEADS))]

    def line(cells: tuple[str, ...]) -> str:
        parts = [f"{cells[i]:<{widths[i]}}" if i < 2 else f"{cells[i]:>{widths[i]}}" for i in used]
        return "  ".join(parts).rstrip()

    rule = "-" * (sum(widths[i] for i in used) + 2 * (len(used) - 1))
    return "\n".join([line(HEADS), rule, *map(line, body), rule, *_totals(table)])


def as_html(table: Summary) -> str:
    """Write the table for a notebook."""
    places = ("left", "left", "right", "right", "right")

    def line(cells: tuple[str, ...], tag: str) -> str:
        styled = (
            f'<{tag} style="text-align:{place};white-space:pre">{escape(cell)}</{tag}>'
            for cell, place in zip(cells, places, strict=True)
        )
        return f"<tr>{''.join(styled)}</tr>"

    body = "".join(line(cells, "td") for cells in _body(table))
    totals = "<br>".join(escape(text) for text in _totals(table))
    return f"<table><thead>{line(HEADS, 'th')}</thead><tbody>{body}</tbody></table><p>{totals}</p>"
