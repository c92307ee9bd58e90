"""waggle_worker.py LIBRARY THREADS DIM K ROWS.npy QUERIES.npy STORE: Waggle, as a worker.

STORE holds the rows in a collection for each metric, by its name; it is opened when needed.
"""
import ctypes
import functools
import sys

import vectors
import waggle_ctypes as waggle
import worker


class Searches:
    def __init__(self, library, threads, dim, k, rows, queries, store):
        self.dim, self.k = int(dim), int(k)
        self.context = waggle.Context(library, int(threads))
        self.rows_path, self.queries = rows, vectors.read_npy(queries)
        self.store_path = store

    @functools.cached_property
    def rows(self):
        return vectors.read_npy(self.rows_path)

    @functools.cached_property
    def store(self):
        return waggle.Store(self.context, self.store_path, read_only=True)

    @functools.cache
    def collection(self, metric):
        """With codes of its rows."""
        it = self.store.open(metric)
        it.setup_search(self.dim, self.k)
        it.prepare(1)
        for _ in range(3):  # the third one begins to code what has no codes
            it.search(self.addresses(1)[0])
        it.wait_for_codes()
        return it

    @functools.cache
    def array(self, metric):
        return waggle.Array(self.context, metric, self.rows, self.dim, self.k)

    def searched_by(self, through, metric):
        """through: "collection" (mapped files, and codes) or "array" (wg_knn, rows in memory)."""
        return self.array(metric) if through == 'array' else self.collection(metric)

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

    def info(self, metric):
        """Of the collection, its codes made."""
        info = self.collection(metric).info()
        return {name: getattr(info, name) for name, _ in info._fields_}

    def about(self):
        return {'version': self.context.version, 'tier': self.context.tier}


def main():
    searches = Searches(*sys.argv[1:])
    worker.serve({name: getattr(searches, name) for name in ('search', 'answer', 'info', 'about')})


main()
