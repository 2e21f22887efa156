"""Matrix products as loops that any compiler can turn into vector instructions, for float64 and for other processors.

Four sums, or four rows, go through the innermost loop at a time, so that every number loaded serves four
multiplications or every sum stored brings four: half the speed of a BLAS, without the price of calling one.
"""

from __future__ import annotations

from tinygrad_edu.kernels.compiler import REORDER, compiled


@compiled(REORDER)
def multiply_turned(a, w, bias, c):
    """c = a w^T + bias for row-major a (rows, depth), w (columns, depth); an empty bias is none."""
    depth, columns = a.shape[1], w.shape[0]
    zero, whole = a.dtype.type(0), columns - columns % 4
    for i in range(a.shape[0]):
        x = a[i]
        for j in range(0, whole, 4):
            w0, w1, w2, w3 = w[j], w[j + 1], w[j + 2], w[j + 3]
            s0, s1, s2, s3 = zero, zero, zero, zero
            for k in range(depth):
                s0 += x[k] * w0[k]
                s1 += x[k] * w1[k]
                s2 += x[k] * w2[k]
                s3 += x[k] * w3[k]
            c[i, j], c[i, j + 1], c[i, j + 2], c[i, j + 3] = s0, s1, s2, s3
        for j in range(whole, columns):
            total = zero
            for k in range(depth):
                total += x[k] * w[j, k]
            c[i, j] = total
        if bias.size:
            for j in range(columns):
                c[i, j] += bias[j]


@compiled(REORDER)
def multiply(a, turned, b, c):
    """c = a b, or a^T b if `turned`, for row-major matrices."""
    rows, depth = c.shape[0], b.shape[0]
    whole = depth - depth % 4
    row_step, depth_step = (1, a.shape[1]) if turned else (a.shape[1], 1)
    flat = a.reshape(a.size)
    for i in range(rows):
        row = c[i]
        row[:] = 0
        for k in range(0, whole, 4):
            at = i * row_step + k * depth_step
            x0, x1, x2 = flat[at], flat[at + depth_step], flat[at + 2 * depth_step]
            x3 = flat[at + 3 * depth_step]
            b0, b1, b2, b3 = b[k], b[k + 1], b[k + 2], b[k + 3]
            for j in range(row.size):
                row[j] += x0 * b0[j] + x1 * b1[j] + x2 * b2[j] + x3 * b3[j]
        for k in range(whole, depth):
            x0, b0 = flat[i * row_step + k * depth_step], b[k]
            for j in range(row.size):
                row[j] += x0 * b0[j]


@compiled(REORDER)
def column_sums(g, sums):
    """sums[j] = sum over i of g[i, j]."""
    sums[:] = 0
    for i in range(g.shape[0]):
        for j in range(sums.size):
            sums[j] += g[i, j]
