"""The data: .npy files of f32 vectors, made here or taken from Fashion-MNIST, and the truth about
them."""
import array
import ctypes
import gzip
import hashlib
import math
import mmap
import pathlib
import subprocess
import uuid

NPY_HEADER_SIZE = 128
TRUTH_QUERIES_MAX = 100
TIE = 1e-9  # relative, of scores in float64
TIE_NORMALISED = 1e-6  # everybody rounds normalised rows in an own way
TIE_FLOAT = 1e-5  # of scores that are computed in float32, by products
FASHION_MNIST = pathlib.Path('/usr/share/datasets/fashion-mnist')


def npy_header(count, dim):
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({count}, {dim}), }}"
    size = NPY_HEADER_SIZE - 10
    return b'\x93NUMPY\x01\x00' + size.to_bytes(2, 'little') + text.ljust(size - 1).encode() + b'\n'


def read_npy(path):
    """The values, in memory of this process, as a ctypes array."""
    size = pathlib.Path(path).stat().st_size - NPY_HEADER_SIZE
    values = (ctypes.c_float * (size // 4))()
    with open(path, 'rb') as file:
        file.seek(NPY_HEADER_SIZE)
        file.readinto(values)
    return values


def uuid_of(i):
    """Random, and always the same."""
    return uuid.UUID(bytes=hashlib.blake2b(i.to_bytes(8, 'little'), digest_size=16).digest(),
                     version=4)


class Vectors:
    """Rows and queries of one kind, as files in a folder."""

    def __init__(self, folder, name, dim):
        self.folder, self.name, self.dim = folder, name, dim
        self.rows, self.queries = folder / f'{name}-rows.npy', folder / f'{name}-queries.npy'
        self.counts, self.mapped, self.unit = {}, {}, None

    def write(self, path, count, produce):
        """produce(file) writes the values behind the header."""
        with open(path, 'wb') as file:
            file.write(npy_header(count, self.dim))
            file.flush()
            produce(file)
        self.counts[path] = count

    def run_into(self, path, count, command):
        """A program that writes the values."""
        self.write(path, count, lambda file: subprocess.run(command, stdout=file, check=True))

    @property
    def title(self):
        return f'{self.name} {self.row_count:,} x {self.dim}'

    @property
    def row_count(self):
        return self.counts[self.rows]

    @property
    def query_count(self):
        return self.counts[self.queries]

    @property
    def row_bytes(self):
        return self.row_count * self.dim * 4

    def for_products(self, programs, metric):
        """The vectors and the metric that give the same ranks without a cosine: normalised ones."""
        if metric != 'cosine':
            return self, metric
        if not self.unit:
            self.unit = Vectors(self.folder, f'{self.name}-unit', self.dim)
            for path, source in ((self.unit.rows, self.rows), (self.unit.queries, self.queries)):
                self.unit.run_into(path, self.counts[source],
                                   [programs / 'normalise', str(self.dim), source])
        return self.unit, 'dot'

    def first_queries(self):
        """A file of those that the truth is sought for."""
        if self.query_count <= TRUTH_QUERIES_MAX:
            return self.queries
        path = self.folder / f'{self.name}-first-queries.npy'
        values = self.values(self.queries)[:TRUTH_QUERIES_MAX * self.dim]
        self.write(path, TRUTH_QUERIES_MAX, lambda file: file.write(values))
        return path

    def truth(self, programs, metric, k):
        """For each of the first queries its k best as (row, score), in float64, by
        bench/truth.c."""
        data, metric = self.for_products(programs, metric)
        lines = subprocess.run([programs / 'truth', metric, str(k), str(self.dim), data.rows,
                                data.first_queries()], capture_output=True, text=True,
                               check=True).stdout
        return [[(int(row), float(score)) for row, score in zip(*[iter(line.split())] * 2)]
                for line in lines.splitlines()]

    def recall(self, metric, truth, ids):
        """The share of the ids that are as near as the truth's k-th, ties included."""
        k, hits = len(truth[0]), 0
        tie = TIE_NORMALISED if metric == 'cosine' else TIE
        for query, best in enumerate(truth):
            known = dict(best)
            hits += sum(row in known or self.is_tie(metric, best, (row, query), tie)
                        for row in set(ids[query * k:(query + 1) * k]))
        return hits / (k * len(truth))

    def same_share(self, metric, truth, ids, others):
        """The share of the truth's queries for which ids and others are the same, in any order and
        up to ties of float32."""
        k, same = len(truth[0]), 0
        for query, best in enumerate(truth):
            a, b = (set(found[query * k:(query + 1) * k]) for found in (ids, others))
            same += all(self.is_tie(metric, best, (row, query), TIE_FLOAT) for row in a ^ b)
        return same / len(truth)

    def is_tie(self, metric, best, pair, tie):
        """Whether the pair of a row and a query is as near as the last of the best, up to tie."""
        limit, score = best[-1][1], self.score(metric, *pair)
        worse = score - limit if metric == 'l2' else limit - score
        return worse <= tie * abs(limit)

    def score(self, metric, row, query):
        """In float64; for the cosine of the rows as they were normalised for products."""
        data = self.unit if metric == 'cosine' else self
        x, y = (data.values(path)[i * self.dim:(i + 1) * self.dim]
                for path, i in ((data.rows, row), (data.queries, query)))
        return math.dist(x, y) if metric == 'l2' else math.fsum(a * b for a, b in zip(x, y))

    def values(self, path):
        if path not in self.mapped:
            with open(path, 'rb') as file:
                self.mapped[path] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return memoryview(self.mapped[path])[NPY_HEADER_SIZE:].cast('f')

    def remove(self):
        """The files."""
        self.mapped.clear()
        for path in self.counts:
            path.unlink()
        if self.unit:
            self.unit.remove()


def generate(programs, folder, kind, shape, seed=7):
    """kind: "latent" or "gaussian", see bench/data.c. shape: rows, queries, dim."""
    row_count, query_count, dim = shape
    made = Vectors(folder, kind, dim)
    for stream, (path, count) in enumerate([(made.rows, row_count), (made.queries, query_count)]):
        made.run_into(path, count, [programs / 'data', kind, str(seed), str(dim), str(count),
                                    str(stream)])
    return made


def read_images(name, limit):
    """Up to limit pictures of a packed IDX file, as f32, and the pixels of one."""
    with gzip.open(FASHION_MNIST / name) as file:
        header = [int.from_bytes(file.read(4), 'big') for _ in range(4)]
        if header[0] != 0x803:
            raise ValueError(f'{name}: magic {header[0]:#x}, expected 0x803')
        count, dim = min(header[1], limit), header[2] * header[3]
        return array.array('f', list(file.read(count * dim))), dim


def fashion_mnist(folder, row_limit, query_limit):
    """None where it is not installed."""
    if not FASHION_MNIST.exists():
        return None
    rows, dim = read_images('train-images-idx3-ubyte.gz', row_limit)
    queries, _ = read_images('t10k-images-idx3-ubyte.gz', query_limit)
    made = Vectors(folder, 'fashion-mnist', dim)
    made.write(made.rows, len(rows) // dim, rows.tofile)
    made.write(made.queries, len(queries) // dim, queries.tofile)
    return made
