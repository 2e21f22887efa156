"""Matrix products as loops that any compiler can turn into vector instructions, for float64 and for other processors.

Four sums, or four rows, go through the innermost loop at a time, so that every number loaded serves four
multiplications, or every sum stored brings four: half the speed of a BLAS, without the price of calling one. All
matrices are row-major.
"""

from __future__ import annotations

from tinygrad_edu.kernels.compiler import REORDER, compiled


@compiled(REORDER)
def affine(x, w, b, out):
    """out = x w^T + b; an empty b is none."""
    depth, columns = x.shape[1], w.shape[0]
    zero, whole = x.dtype.type(0), columns - columns % 4
    for i in range(x.shape[0]):
        row, result = x[i], out[i]
        for j in range(0, whole, 4):
            w0, w1, w2, w3 = w[j], w[j + 1], w[j + 2], w[j + 3]
            s0, s1, s2, s3 = zero, zero, zero, zero
            for k in range(depth):
                s0 += row[k] * w0[k]
                s1 += row[k] * w1[k]
                s2 += row[k] * w2[k]
                s3 += row[k] * w3[k]
            result[j], result[j + 1], result[j + 2], result[j + 3] = s0, s1, s2, s3
        for j in range(whole, columns):
            total, w0 = zero, w[j]
            for k in range(depth):
                total += row[k] * w0[k]
            result[j] = total
        if b.size:
            for j in range(columns):
                result[j] += b[j]


@compiled(REORDER)
def product(a, turned, b, out):
    """out = a b, or a^T b if `turned`."""
    depth = b.shape[0]
    whole, flat = depth - depth % 4, a.reshape(a.size)
    row_step, step = (1, a.shape[1]) if turned else (a.shape[1], 1)
    for i in range(out.shape[0]):
        row = out[i]
        row[:] = 0
        for k in range(0, whole, 4):
            at = i * row_step + k * step
            a0, a1, a2, a3 = flat[at], flat[at + step], flat[at + 2 * step], flat[at + 3 * step]
            b0, b1, b2, b3 = b[k], b[k + 1], b[k + 2], b[k + 3]
            for j in range(row.size):
                row[j] += a0 * b0[j] + a1 * b1[j] + a2 * b2[j] + a3 * b3[j]
        for k in range(whole, depth):
            a0, b0 = flat[i * row_step + k * step], b[k]
            for j in range(row.size):
                row[j] += a0 * b0[j]


@compiled(REORDER)
def column_sums(g, sums):
    """sums[j] = sum over i of g[i, j]."""
    sums[:] = 0
    for i in range(g.shape[0]):
        row = g[i]
        for j in range(sums.size):
            sums[j] += row[j]


# ---- one neuron with two inputs, the first network of every course: a compiler that knows of the pairs is very quick ----------
@compiled(REORDER)
def neuron(x, w, b, out):
    """out = x w^T + b for x (rows, 2) and w (1, 2)."""
    pairs, result = x.reshape(x.size), out.reshape(out.size)
    w0, w1, start = w[0, 0], w[0, 1], b[0] if b.size else x.dtype.type(0)
    for i in range(result.size):
        result[i] = start + pairs[2 * i] * w0 + pairs[2 * i + 1] * w1


@compiled(REORDER)
def neuron_grad(g, x, out):
    """out (1, 2) = g^T x for g (rows, 1) and x (rows, 2)."""
    pairs, slopes = x.reshape(x.size), g.reshape(g.size)
    s0 = s1 = x.dtype.type(0)
    for i in range(slopes.size):
        s0 += slopes[i] * pairs[2 * i]
        s1 += slopes[i] * pairs[2 * i + 1]
    out[0, 0], out[0, 1] = s0, s1


@compiled(REORDER)
def column_sum(g, sums):
    """The only element of `sums` = the sum of g (rows, 1)."""
    total, column = g.dtype.type(0), g.reshape(g.size)
    for i in range(column.size):
        total += column[i]
    sums[0] = total
