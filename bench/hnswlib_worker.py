"""hnswlib_worker.py METRIC DIM K ROWS.npy QUERIES.npy: hnswlib's brute force, as a worker."""
import importlib.metadata

import hnswlib

import peer_worker

SPACES = {'dot': 'ip', 'l2': 'l2'}


class BruteForce(peer_worker.Peer):
    def __init__(self, metric, k, rows, queries):
        super().__init__(k, queries)
        self.index = hnswlib.BFIndex(space=SPACES[metric], dim=rows.shape[1])
        self.index.init_index(max_elements=len(rows))
        self.index.add_items(rows)

    def searcher(self, how):
        return lambda queries: self.index.knn_query(queries, k=self.k, num_threads=1)[0]

    def about(self):
        return {'version': importlib.metadata.version('hnswlib')}


peer_worker.serve(BruteForce)
