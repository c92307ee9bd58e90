"""waggle_worker.py LIBRARY THREADS DIM K ROWS.npy QUERIES.npy STORE: Waggle, as a worker.

STORE holds the rows in a collection for each metric, "dot" and "l2"; it is opened when needed.
"""
import ctypes
import sys

import vectors
import waggle_ctypes as waggle
import worker


class Searches:
    def __init__(self, library, threads, dim, k, rows, queries, store):
        self.dim, self.k = int(dim), int(k)
        self.context = waggle.Context(library, int(threads))
        self.rows, self.queries = vectors.read_npy(rows), vectors.read_npy(queries)
        self.store_path, self.store, self.searched = store, None, {}

    def searched_by(self, through, metric):
        """through: "collection" (rows in mapped files) or "array" (wg_knn, rows in memory)."""
        if (through, metric) not in self.searched:
            if through == 'array':
                it = waggle.Array(self.context, metric, self.rows, self.dim, self.k)
            else:
                it = self.open_store().open(metric)
                it.setup_search(self.dim, self.k)
            self.searched[through, metric] = it
        return self.searched[through, metric]

    def open_store(self):
        if not self.store:
            self.store = waggle.Store(self.context, self.store_path, read_only=True)
        return self.store

    def addresses(self, batch):
        count = len(self.queries) // self.dim
        return [ctypes.addressof(self.queries) + start * self.dim * 4
                for start in range(0, count - batch + 1, batch)]

    def search(self, through, metric, batch, repeat):
        it = self.searched_by(through, metric)
        it.prepare(int(batch))
        return worker.timed(worker.in_batches(it.search, self.addresses(int(batch))), int(repeat))

    def answer(self, through, metric, batch):
        it, ids, scores = self.searched_by(through, metric), [], []
        it.prepare(int(batch))
        for address in self.addresses(int(batch)):
            it.search(address)
            more_ids, more_scores = it.result()
            ids, scores = ids + more_ids, scores + more_scores
        return {'ids': ids, 'scores': scores}

    def about(self):
        return {'version': self.context.version, 'tier': self.context.tier}


def main():
    searches = Searches(*sys.argv[1:])
    worker.serve({name: getattr(searches, name) for name in ('search', 'answer', 'about')})


main()
