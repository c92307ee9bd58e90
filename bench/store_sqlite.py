"""SQLite with sqlite-vec as a store of store_worker.py. LAYOUT is "vec0", sqlite-vec's own table,
which is searched faster, or "table", vectors as blobs in a plain one, which is written faster.

Durable: the write-ahead log, synced at each commit. Large pages, a cache and a mapping made both
layouts faster.
"""
import pathlib
import sqlite3

import numpy
import sqlite_vec

import vectors

PRAGMAS = ['page_size = 65536', 'journal_mode = wal', 'synchronous = full', 'cache_size = -200000',
           'mmap_size = 8000000000']
CREATE = {
    ('vec0', 'numbers'): 'create virtual table points using vec0(id integer primary key, '
                         'vector float[{dim}] distance_metric=l2)',
    ('vec0', 'uuids'): 'create virtual table points using vec0(id text primary key, '
                       'vector float[{dim}] distance_metric=l2)',
    ('table', 'numbers'): 'create table points(id integer primary key, vector blob)',
    ('table', 'uuids'): 'create table points(id blob primary key, vector blob)',
}
REPLACE = {'vec0': 'update points set vector = ?2 where id = ?1',
           'table': 'insert or replace into points(id, vector) values (?, ?)'}
SEARCH = {'vec0': 'select id from points where vector match ? and k = ? order by distance',
          'table': 'select id from points order by vec_distance_l2(vector, ?) limit ?'}


class Store:
    needs_sync = False

    def __init__(self, dim, k, rows, queries, layout):
        self.dim, self.k, self.layout = dim, k, layout
        self.rows, self.queries = numpy.load(rows, mmap_mode='r'), numpy.load(queries)
        self.row_count, self.query_count = len(self.rows), len(self.queries)

    def about(self):
        return {'version': sqlite3.sqlite_version, 'sqlite-vec': sqlite_vec.__version__,
                'settings': ', '.join(PRAGMAS)}

    def connect(self, path):
        self.db = sqlite3.connect(pathlib.Path(path) / 'db', isolation_level=None)
        self.db.enable_load_extension(True)
        sqlite_vec.load(self.db)
        for pragma in PRAGMAS:
            self.db.execute(f'pragma {pragma}')

    def create(self, path, ids):
        self.id_kind = ids
        pathlib.Path(path).mkdir()
        self.connect(path)
        self.db.execute(CREATE[self.layout, ids].format(dim=self.dim))

    def open(self, path):
        self.id_kind = 'numbers'
        self.connect(path)

    def close(self):
        self.db.close()

    def id_of(self, i):
        if self.id_kind == 'numbers':
            return i
        return str(vectors.uuid_of(i)) if self.layout == 'vec0' else vectors.uuid_of(i).bytes

    def points(self, first_row, count, first_id):
        return [(self.id_of(first_id + i), self.rows[first_row + i].tobytes())
                for i in range(count)]

    def in_one_commit(self, statement, points):
        self.db.execute('begin')
        self.db.executemany(statement, points)
        self.db.execute('commit')

    def insert(self, points):
        self.in_one_commit('insert into points(id, vector) values (?, ?)', points)

    def replace(self, points):
        self.in_one_commit(REPLACE[self.layout], points)

    def segments(self):
        return 0

    def search(self, query):
        found = self.db.execute(SEARCH[self.layout], (self.queries[query].tobytes(), self.k))
        return [row[0] for row in found.fetchall()]
