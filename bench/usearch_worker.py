"""usearch_worker.py METRIC DIM K ROWS.npy QUERIES.npy: usearch's exact search, as a worker."""
import importlib.metadata

import numpy
from usearch import index as usearch

import peer_worker

METRICS = {'dot': usearch.MetricKind.IP, 'l2': usearch.MetricKind.L2sq}


class Exact(peer_worker.Peer):
    def __init__(self, metric, k, rows, queries):
        super().__init__(k, queries)
        self.metric, self.rows = METRICS[metric], numpy.array(rows)

    def searcher(self, how):
        return lambda queries: usearch.search(self.rows, queries, self.k, self.metric, exact=True,
                                              threads=1).keys

    def about(self):
        return {'version': importlib.metadata.version('usearch')}


peer_worker.serve(Exact)
