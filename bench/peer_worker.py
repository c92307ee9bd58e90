"""What the workers of peers that search in memory have in common. They are called with
METRIC DIM K ROWS.npy QUERIES.npy, METRIC "dot" or "l2", and run in the environment of the peers, on
one thread. Which BLAS kernels they get depends on OPENBLAS_CORETYPE."""
import sys

import numpy

import worker


class Peer:
    def __init__(self, k, queries):
        self.k, self.queries = k, queries

    def searcher(self, how):
        """A function from queries, some x dim, to the rows found, some x k."""
        raise NotImplementedError

    def about(self):
        raise NotImplementedError

    def batches(self, batch):
        return [self.queries[start:start + batch]
                for start in range(0, len(self.queries) - batch + 1, batch)]

    def search(self, how, batch, repeat):
        return worker.timed(worker.in_batches(self.searcher(how), self.batches(int(batch))),
                            int(repeat))

    def answer(self, how, batch):
        search = self.searcher(how)
        ids = [search(queries).ravel() for queries in self.batches(int(batch))]
        return {'ids': numpy.concatenate(ids).tolist()}


def serve(make):
    """make(metric, k, rows, queries) gives a Peer; the rows are pages of the file."""
    metric, _dim, k, rows, queries = sys.argv[1:]
    peer = make(metric, int(k), numpy.load(rows, mmap_mode='r'), numpy.load(queries))
    worker.serve({name: getattr(peer, name) for name in ('search', 'answer', 'about')})
