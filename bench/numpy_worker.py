"""numpy_worker.py METRIC DIM K ROWS.npy QUERIES.npy: what can be had from NumPy and its OpenBLAS,
as a worker. Products by sgemm, and the best of them by argpartition ("whole") or, block by block of
rows, by a running threshold for each query ("threshold"): only what passes is kept.

-|q - x|^2 has the same order as q.x - |x|^2 / 2: a component more, 1 in each query, makes a product
of it, so that nothing is done with the scores but to compare them.
"""
import numpy

import peer_worker

FIRST, BLOCK = 1024, 2048  # rows: of the first limits, and at once


def with_offsets(rows):
    squares = numpy.einsum('ij,ij->i', rows, rows, dtype=numpy.float64)
    offsets = (squares * -0.5).astype(numpy.float32)
    return numpy.ascontiguousarray(numpy.hstack([rows, offsets[:, None]]))


class Best:
    """The k best so far of each query: rows and scores, queries x k."""

    def __init__(self, k, scores):
        """scores: queries x rows, of the first rows."""
        self.k = k
        self.keep(scores, numpy.broadcast_to(numpy.arange(scores.shape[1]), scores.shape))

    def keep(self, scores, rows):
        """The best of these."""
        best = numpy.argpartition(scores, scores.shape[1] - self.k, axis=1)[:, -self.k:]
        self.scores = numpy.take_along_axis(scores, best, axis=1)
        self.rows = numpy.take_along_axis(rows, best, axis=1)
        self.limits = self.scores.min(axis=1, keepdims=True)

    def add(self, passed):
        """passed: arrays of queries, rows and scores, as they passed the limits."""
        queries, rows, scores = (numpy.concatenate(parts) for parts in zip(*passed))
        order = numpy.argsort(queries, kind='stable')
        counts = numpy.bincount(queries, minlength=len(self.rows))
        column = self.k + numpy.arange(len(order)) - numpy.repeat(numpy.cumsum(counts) - counts,
                                                                  counts)
        shape = len(self.rows), self.k + counts.max()
        all_scores = numpy.full(shape, -numpy.inf, numpy.float32)
        all_rows = numpy.zeros(shape, numpy.int64)
        for whole, old, new in ((all_scores, self.scores, scores), (all_rows, self.rows, rows)):
            whole[:, :self.k] = old
            whole[queries[order], column] = new[order]
        self.keep(all_scores, all_rows)


class Products(peer_worker.Peer):
    def __init__(self, metric, k, rows, queries):
        if metric == 'l2':
            ones = numpy.ones((len(queries), 1), numpy.float32)
            queries = numpy.ascontiguousarray(numpy.hstack([queries, ones]))
        super().__init__(k, queries)
        self.rows = with_offsets(rows) if metric == 'l2' else numpy.array(rows)

    def searcher(self, how):
        return {'whole': self.by_whole, 'threshold': self.by_threshold}[how]

    def by_whole(self, queries):
        scores = queries @ self.rows.T
        return numpy.argpartition(scores, scores.shape[1] - self.k, axis=1)[:, -self.k:]

    def by_threshold(self, queries):
        """The limits are renewed whenever twice as many rows have been seen."""
        best = Best(self.k, queries @ self.rows[:FIRST].T)
        passed, renewed = [], FIRST
        room = numpy.empty(len(queries) * BLOCK, numpy.float32)
        passes = numpy.empty(len(queries) * BLOCK, bool)
        for first in range(FIRST, len(self.rows), BLOCK):
            rows = self.rows[first:first + BLOCK]
            shape = len(queries), len(rows)
            scores, marks = (memory[:shape[0] * shape[1]].reshape(shape)
                             for memory in (room, passes))
            numpy.matmul(queries, rows.T, out=scores)
            found = numpy.flatnonzero(numpy.greater(scores, best.limits, out=marks))
            passed.append((found // len(rows), first + found % len(rows), scores.ravel()[found]))
            if first + len(rows) >= min(2 * renewed, len(self.rows)):
                best.add(passed)
                passed, renewed = [], first + len(rows)
        return best.rows

    def about(self):
        blas = numpy.show_config(mode='dicts')['Build Dependencies']['blas']
        return {'version': numpy.__version__, 'BLAS': f'{blas["name"]} {blas["version"]}'}


peer_worker.serve(Products)
