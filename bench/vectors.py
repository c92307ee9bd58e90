"""The data: .npy files of f32 vectors, made here or taken from Fashion-MNIST, and the truth about
them."""
import array
import ctypes
import gzip
import hashlib
import math
import pathlib
import subprocess
import uuid

NPY_HEADER_SIZE = 128
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
        self.name, self.dim = name, dim
        self.rows, self.queries = folder / f'{name}-rows.npy', folder / f'{name}-queries.npy'
        self.counts = {}

    def write(self, path, count, produce):
        """produce(file) writes the values behind the header."""
        with open(path, 'wb') as file:
            file.write(npy_header(count, self.dim))
            file.flush()
            produce(file)
        self.counts[path] = count

    @property
    def row_count(self):
        return self.counts[self.rows]

    @property
    def query_count(self):
        return self.counts[self.queries]

    @property
    def row_bytes(self):
        return self.row_count * self.dim * 4

    def truth(self, programs, metric, k):
        """For each query its k best as (row, score), in float64, by bench/truth.c."""
        lines = subprocess.run([programs / 'truth', metric, str(k), str(self.dim), self.rows,
                                self.queries], capture_output=True, text=True, check=True).stdout
        return [[(int(row), float(score)) for row, score in zip(*[iter(line.split())] * 2)]
                for line in lines.splitlines()]

    def recall(self, metric, truth, ids):
        """The share of the ids that are as near as the truth's k-th, ties included."""
        rows, queries = self.values(self.rows), self.values(self.queries)
        k, hits = len(truth[0]), 0
        for query, best in enumerate(truth):
            limit = best[-1][1]
            known = dict(best)
            for row in set(ids[query * k:(query + 1) * k]):
                hits += row in known or self.is_tie(metric, limit, self.pair(rows, queries, row,
                                                                             query))
        return hits / (k * len(truth))

    def values(self, path):
        return memoryview(path.read_bytes())[NPY_HEADER_SIZE:].cast('f')

    def pair(self, rows, queries, row, query):
        return (rows[row * self.dim:(row + 1) * self.dim],
                queries[query * self.dim:(query + 1) * self.dim])

    @staticmethod
    def is_tie(metric, limit, pair):
        if metric == 'dot':
            return math.fsum(a * b for a, b in zip(*pair)) >= limit - 1e-9 * abs(limit)
        return math.dist(*pair) <= limit * (1 + 1e-9)


def generate(programs, folder, kind, shape, seed=7):
    """kind: "latent" or "gaussian", see bench/data.c. shape: rows, queries, dim."""
    row_count, query_count, dim = shape
    made = Vectors(folder, kind, dim)
    for stream, (path, count) in enumerate([(made.rows, row_count), (made.queries, query_count)]):
        command = [programs / 'data', kind, str(seed), str(dim), str(count), str(stream)]
        made.write(path, count, lambda file, c=command: subprocess.run(c, stdout=file, check=True))
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
