"""LanceDB as a store of store_worker.py. Points are added, its fastest way, which does not look
whether the ids are there; without an index a search is exact. LanceDB syncs nothing."""
import lancedb
import numpy
import pyarrow

import vectors


class Store:
    needs_sync = True

    def __init__(self, dim, k, rows, queries):
        self.dim, self.k = dim, k
        self.rows, self.queries = numpy.load(rows, mmap_mode='r'), numpy.load(queries)
        self.row_count, self.query_count = len(self.rows), len(self.queries)

    def about(self):
        return {'version': lancedb.__version__, 'pyarrow': pyarrow.__version__}

    def create(self, path, ids):
        id_type = pyarrow.int64() if ids == 'numbers' else pyarrow.binary(16)
        self.schema = pyarrow.schema([
            ('id', id_type), ('vector', pyarrow.list_(pyarrow.float32(), self.dim))])
        self.table = lancedb.connect(path).create_table('points', schema=self.schema)

    def open(self, path):
        self.table = lancedb.connect(path).open_table('points')
        self.schema = self.table.schema

    def close(self):
        self.table = None

    def points(self, first_row, count, first_id):
        ids = range(first_id, first_id + count)
        if self.schema.field('id').type != pyarrow.int64():
            ids = [vectors.uuid_of(i).bytes for i in ids]
        rows = numpy.ascontiguousarray(self.rows[first_row:first_row + count]).ravel()
        return pyarrow.table([pyarrow.array(ids, self.schema.field('id').type),
                              pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(rows),
                                                                     self.dim)],
                             schema=self.schema)

    def insert(self, points):
        self.table.add(points)

    def replace(self, points):
        (self.table.merge_insert('id').when_matched_update_all().when_not_matched_insert_all()
         .execute(points))

    def segments(self):
        return 0

    def search(self, query):
        found = (self.table.search(self.queries[query]).distance_type('l2').limit(self.k)
                 .select(['id', '_distance']).to_arrow())
        return found['id'].to_pylist()
