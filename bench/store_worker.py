"""store_worker.py PEER DIM K ROWS.npy QUERIES.npy ARGUMENT...: a store that rows are put into, as a
worker. The module store_PEER has a class Store, which says how; it runs in the environment of the
peers, Waggle's in any.

What a peer takes points in is made before the clock runs. Each batch is on disk when its time ends:
where the peer does not see to that itself, its new files are synced here.
"""
import ctypes
import importlib
import os
import sys
import time

import worker

TRIES_MAX = 5


class Clock:
    """Runs while it is entered. What threads waited for a core is not counted: those of one process
    wait for each other here."""

    def __init__(self):
        self.seconds = 0

    def __enter__(self):
        self.begun = time.perf_counter()

    def __exit__(self, *_):
        self.seconds += time.perf_counter() - self.begun

    def answer(self, **more):
        return {'seconds': self.seconds, 'waited': 0, **more}


class Files:
    """The files in a folder; those that are new can be synced, with all folders."""

    def __init__(self, folder):
        self.folder, self.synced = folder, set()

    def sync(self):
        for folder, _, names in os.walk(self.folder):
            new = {os.path.join(folder, name) for name in names} - self.synced
            for path in [*new, folder]:
                file = os.open(path, os.O_RDONLY)
                os.fsync(file)
                os.close(file)
            self.synced.update(new)


def sync_counts():
    """By bench/preload/sync_count.c: syncs of files, writes that sync, syncs of mappings; zeros
    where it is not loaded."""
    count = getattr(ctypes.CDLL(None), 'sync_count', lambda _: 0)
    return [count(kind) for kind in range(3)]


class Worker:
    def __init__(self, peer, dim, k, rows, queries, *arguments):
        store = importlib.import_module(f'store_{peer}').Store
        self.store = store(int(dim), int(k), rows, queries, *arguments)
        self.files = None

    def about(self):
        return self.store.about()

    def insert(self, points):
        self.store.insert(points)
        if self.store.needs_sync:
            self.files.sync()

    def create(self, path, ids):
        """ids: "numbers" or "uuids"."""
        self.store.create(path, ids)
        self.files, self.next_id = Files(path), 0

    def some_points(self, count):
        """New points, with the next ids; their rows begin again when all have been used."""
        first = self.next_id % max(1, self.store.row_count - count + 1)
        self.next_id += count
        return self.store.points(first, min(count, self.store.row_count), self.next_id - count)

    def begin(self, path, ids, count):
        """A store of so many points, for batches to follow."""
        self.create(path, ids)
        self.insert(self.some_points(int(count)))
        return {}

    def durable_batch(self, count):
        """A batch of new points in which no segment is begun, and how often it synced."""
        for _ in range(TRIES_MAX):
            points, segments, clock = self.some_points(int(count)), self.store.segments(), Clock()
            before = sync_counts()
            with clock:
                self.store.insert(points)
                after = sync_counts()
                if self.store.needs_sync:
                    self.files.sync()
            if self.store.segments() == segments:
                syncs = [a - b for a, b in zip(after, before)]
                return clock.answer(syncs=syncs)
        raise RuntimeError(f'each of {TRIES_MAX} batches of {count} points began a segment')

    def fill(self, path, ids, batch):
        """Puts all rows into a new store, batch by batch, until all is on disk; row i has id i."""
        clock, batch = Clock(), int(batch)
        with clock:
            self.create(path, ids)
        for first in range(0, self.store.row_count, batch):
            points = self.store.points(first, min(batch, self.store.row_count - first), first)
            with clock:
                self.insert(points)
        with clock:
            self.store.close()
            if self.store.needs_sync:
                self.files.sync()
        return clock.answer()

    def reopen(self, path):
        """Opens a store of numbers for writing, and searches once."""
        clock = Clock()
        with clock:
            self.store.open(path)
        opened = clock.seconds
        with clock:
            self.store.search(0)
        return clock.answer(open=opened, search=clock.seconds - opened)

    def keep_writing(self, batch):
        """Writes the points again as they are, until the process is killed."""
        batch, first = int(batch), 0
        while True:
            self.store.replace(self.store.points(first, batch, first))
            first = (first + batch) % (self.store.row_count - batch)

    def search(self, repeat):
        """Every query, one at a time."""
        clock = Clock()
        with clock:
            for query in list(range(self.store.query_count)) * int(repeat):
                self.store.search(query)
        return clock.answer()

    def settle(self):
        """Lets the store end what a first search began in the background."""
        getattr(self.store, 'settle', lambda: None)()
        return {}

    def answer(self):
        return {'ids': [found for query in range(self.store.query_count)
                        for found in self.store.search(query)]}


def main():
    it = Worker(*sys.argv[1:])
    names = ('about', 'begin', 'durable_batch', 'fill', 'reopen', 'keep_writing', 'search',
             'settle', 'answer')
    worker.serve({name: getattr(it, name) for name in names})


if __name__ == '__main__':
    main()
