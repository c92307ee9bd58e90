"""faiss_worker.py DIM K ROWS.npy QUERIES.npy: FAISS's Flat indexes, as a worker, on one thread.

It runs in the environment of the peers. Which BLAS kernels it gets depends on OPENBLAS_CORETYPE.
"""
import sys

import faiss
import numpy

import worker

DEFAULT_THRESHOLD = faiss.cvar.distance_compute_blas_threshold


class Searches:
    def __init__(self, dim, k, rows, queries):
        self.k, self.queries = int(k), numpy.load(queries)
        self.indexes = {'dot': faiss.IndexFlatIP(int(dim)), 'l2': faiss.IndexFlatL2(int(dim))}
        faiss.omp_set_num_threads(1)
        for index in self.indexes.values():
            index.add(numpy.load(rows))

    def batches(self, batch):
        return [self.queries[start:start + batch]
                for start in range(0, len(self.queries) - batch + 1, batch)]

    def search_with(self, metric, threshold):
        """threshold: of the products from which on FAISS calls BLAS, or "default"."""
        faiss.cvar.distance_compute_blas_threshold = (
            DEFAULT_THRESHOLD if threshold == 'default' else int(threshold))
        index = self.indexes[metric]
        return lambda queries: index.search(queries, self.k)

    def search(self, threshold, metric, batch, repeat):
        search = self.search_with(metric, threshold)
        return worker.timed(worker.in_batches(search, self.batches(int(batch))), int(repeat))

    def answer(self, threshold, metric, batch):
        search = self.search_with(metric, threshold)
        ids = [search(queries)[1].ravel() for queries in self.batches(int(batch))]
        return {'ids': numpy.concatenate(ids).tolist()}

    def about(self):
        return {'version': faiss.__version__, 'options': faiss.get_compile_options().strip(),
                'numpy': numpy.__version__, 'threshold': DEFAULT_THRESHOLD}


def main():
    searches = Searches(*sys.argv[1:])
    worker.serve({name: getattr(searches, name) for name in ('search', 'answer', 'about')})


main()
