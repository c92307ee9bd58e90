"""Qdrant Edge as a store of store_worker.py. Durable: without its log, flushed after each batch;
with the log, which it does not sync by itself, a flush has to follow too, and takes longer.
Searches are asked to be exact."""
import importlib.metadata

import numpy
import qdrant_edge as qdrant

import vectors


class Store:
    needs_sync = False

    def __init__(self, dim, k, rows, queries):
        self.dim, self.k = dim, k
        self.rows, self.queries = numpy.load(rows, mmap_mode='r'), numpy.load(queries)
        self.row_count, self.query_count = len(self.rows), len(self.queries)

    def about(self):
        return {'version': importlib.metadata.version('qdrant-edge-py')}

    def create(self, path, ids):
        self.id_kind = ids
        params = qdrant.EdgeVectorParams(size=self.dim, distance=qdrant.Distance.Euclid)
        self.shard = qdrant.EdgeShard.create(
            path, qdrant.EdgeConfig(vectors=params, wal_enabled=False))

    def open(self, path):
        self.id_kind = 'numbers'
        self.shard = qdrant.EdgeShard.load(path)

    def close(self):
        self.shard.flush()
        self.shard.close()

    def points(self, first_row, count, first_id):
        return qdrant.UpdateOperation.upsert_points([
            qdrant.Point(first_id + i if self.id_kind == 'numbers'
                         else vectors.uuid_of(first_id + i), self.rows[first_row + i].tolist())
            for i in range(count)])

    def insert(self, points):
        self.shard.update(points)
        self.shard.flush()

    replace = insert

    def segments(self):
        return 0

    def search(self, query):
        found = self.shard.query(qdrant.QueryRequest(
            limit=self.k, query=qdrant.Query.Nearest(self.queries[query].tolist()),
            params=qdrant.SearchParams(exact=True)))
        return [point.id for point in found]
