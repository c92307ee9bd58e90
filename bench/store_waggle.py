"""Waggle as a store of store_worker.py, through its C API. LIBRARY THREADS"""
import ctypes

import vectors
import waggle_ctypes as waggle


class Store:
    needs_sync = False

    def __init__(self, dim, k, rows, queries, library, threads):
        self.dim, self.k = dim, k
        self.context = waggle.Context(library, int(threads))
        self.rows, self.queries = vectors.read_npy(rows), vectors.read_npy(queries)
        self.row_count, self.query_count = len(self.rows) // dim, len(self.queries) // dim

    def about(self):
        return {'version': self.context.version, 'tier': self.context.tier}

    def create(self, path, ids):
        self.id_kind = ids
        self.store = waggle.Store(self.context, path)
        self.store.create('rows', 'l2', self.dim)
        self.collection = self.store.open('rows')

    def open(self, path):
        self.id_kind = 'numbers'
        self.store = waggle.Store(self.context, path)
        self.collection = self.store.open('rows')
        self.collection.setup_search(self.dim, self.k)
        self.collection.prepare(1)

    def close(self):
        self.collection.close()
        self.store.close()

    def points(self, first_row, count, first_id):
        ids = (waggle.Id * count)()
        for i in range(count):
            if self.id_kind == 'numbers':
                self.context.api.wg_id_from_number(first_id + i, ids[i])
            else:
                ids[i].type = waggle.ID_UUID
                ids[i].value.uuid[:] = vectors.uuid_of(first_id + i).bytes
        return ids, ctypes.addressof(self.rows) + first_row * self.dim * 4

    def insert(self, points):
        self.collection.upsert(*points, self.dim)

    replace = insert

    def segments(self):
        return self.collection.info().segment_count

    def search(self, query):
        self.collection.search(ctypes.addressof(self.queries) + query * self.dim * 4)
        return self.collection.result()[0]

    def settle(self):
        for _ in range(3):  # the third one begins to code what has no codes
            self.search(0)
        self.collection.wait_for_codes()
