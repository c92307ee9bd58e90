"""As much of include/waggle/*.h as the measurements call, by ctypes, with the headers' names."""
import ctypes
import time
from ctypes import (POINTER, Structure, byref, c_bool, c_char_p, c_float, c_int, c_size_t, c_uint32,
                    c_uint64, c_uint8, c_void_p)

METRICS = {'cosine': 0, 'dot': 1, 'l2': 2}  # wg_metric
ID_UUID = 2  # wg_id_type
UNCODED_OF_SEGMENT = 1024 + 32  # rows behind its coded ones: what may stay so
CODES_SECONDS_MAX = 60


class ContextParams(Structure):
    _fields_ = [('size', c_size_t), ('threads', c_uint32), ('fallback_to_cpu', c_bool),
                ('cpu', c_char_p), ('backend', c_char_p), ('log', c_void_p), ('log_user', c_void_p)]


class KnnParams(Structure):
    _fields_ = [('size', c_size_t), ('metric', c_int), ('k', c_size_t), ('dim', c_size_t),
                ('rows', c_void_p), ('row_count', c_size_t),
                ('queries', c_void_p), ('query_count', c_size_t),
                ('timeout_ms', c_uint64), ('cancel', c_void_p)]


class StoreParams(Structure):
    _fields_ = [('size', c_size_t), ('create', c_bool), ('read_only', c_bool)]


class CollectionParams(Structure):
    _fields_ = [('size', c_size_t), ('dim', c_uint32), ('metric', c_int)]


class IdValue(ctypes.Union):
    _fields_ = [('number', c_uint64), ('uuid', c_uint8 * 16), ('string', c_char_p)]


class Id(Structure):
    _fields_ = [('type', c_int), ('size', c_uint32), ('value', IdValue)]


class Batch(Structure):
    _fields_ = [('size', c_size_t), ('count', c_size_t), ('ids', POINTER(Id)),
                ('vectors', c_void_p), ('payloads', c_void_p)]


class CollectionInfo(Structure):
    _fields_ = [('size', c_size_t), ('dim', c_uint32), ('metric', c_int), ('count', c_uint64),
                ('row_count', c_uint64), ('segment_count', c_uint64), ('vector_bytes', c_uint64),
                ('disk_bytes', c_uint64), ('epoch', c_uint64), ('sequence', c_uint64),
                ('chain_hash', c_uint64), ('horizon', c_uint64), ('coded_row_count', c_uint64),
                ('code_bytes', c_uint64)]


class SearchParams(Structure):
    _fields_ = [('size', c_size_t), ('queries', c_void_p), ('query_count', c_size_t),
                ('dim', c_size_t), ('k', c_size_t), ('with', ctypes.c_uint),
                ('timeout_ms', c_uint64), ('cancel', c_void_p)]


class Hit(Structure):
    _fields_ = [('id', Id), ('score', c_float), ('changed', c_bool),
                ('vector', c_void_p), ('payload', c_char_p)]


FUNCTIONS = {  # name: what it returns (int: a wg_err), its arguments
    'wg_message': (c_char_p,),
    'wg_version': (c_char_p,),
    'wg_context_create': (c_int, POINTER(ContextParams), POINTER(c_void_p)),
    'wg_context_destroy': (None, POINTER(c_void_p)),
    'wg_context_cpu': (c_char_p, c_void_p),
    'wg_context_params_init_sized': (None, c_void_p, c_size_t),
    'wg_knn': (c_int, c_void_p, POINTER(KnnParams), c_void_p, c_void_p),
    'wg_knn_params_init_sized': (None, c_void_p, c_size_t),
    'wg_store_open': (c_int, c_void_p, c_char_p, POINTER(StoreParams), POINTER(c_void_p)),
    'wg_store_close': (None, POINTER(c_void_p)),
    'wg_store_params_init_sized': (None, c_void_p, c_size_t),
    'wg_collection_create': (c_int, c_void_p, c_char_p, POINTER(CollectionParams)),
    'wg_collection_params_init_sized': (None, c_void_p, c_size_t),
    'wg_collection_open': (c_int, c_void_p, c_char_p, POINTER(c_void_p)),
    'wg_collection_close': (None, POINTER(c_void_p)),
    'wg_collection_upsert': (c_int, c_void_p, c_size_t, POINTER(Batch)),
    'wg_collection_info_get': (c_int, c_void_p, POINTER(CollectionInfo)),
    'wg_collection_info_init_sized': (None, c_void_p, c_size_t),
    'wg_batch_init_sized': (None, c_void_p, c_size_t),
    'wg_id_from_number': (None, c_uint64, POINTER(Id)),
    'wg_searcher_create': (c_int, c_void_p, POINTER(c_void_p)),
    'wg_searcher_destroy': (None, POINTER(c_void_p)),
    'wg_searcher_run': (c_int, c_void_p, POINTER(SearchParams)),
    'wg_searcher_hits': (POINTER(Hit), c_void_p, c_size_t, POINTER(c_size_t)),
    'wg_search_params_init_sized': (None, c_void_p, c_size_t),
}


class Library:
    """The functions; those that can fail raise RuntimeError with the library's message."""

    def __init__(self, path):
        library = ctypes.CDLL(path)
        for name, (result, *arguments) in FUNCTIONS.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
            if result is c_int:
                function.errcheck = self.check
            setattr(self, name, function)

    def check(self, err, function, _arguments):
        if err != 0:
            raise RuntimeError(f'{function.__name__}: {self.wg_message().decode()}')

    def params(self, kind, init, **values):
        """A parameter struct of that kind, filled by its init, then with the values."""
        params = kind()
        init(byref(params), ctypes.sizeof(params))
        for name, value in values.items():
            setattr(params, name, value)
        return params


class Context:
    def __init__(self, path, threads):
        self.api = library = Library(path)
        self.handle = c_void_p()
        params = library.params(ContextParams, library.wg_context_params_init_sized,
                                threads=threads, backend=b'cpu')
        library.wg_context_create(byref(params), byref(self.handle))
        self.tier = library.wg_context_cpu(self.handle).decode()
        self.version = library.wg_version().decode()

    def close(self):
        self.api.wg_context_destroy(byref(self.handle))


class Array:
    """wg_knn over rows in memory."""

    def __init__(self, context, metric, rows, dim, k):
        self.context, self.k, self.dim = context, k, dim
        library = context.api
        self.params = library.params(
            KnnParams, library.wg_knn_params_init_sized, metric=METRICS[metric], k=k, dim=dim,
            rows=ctypes.addressof(rows), row_count=len(rows) // dim)
        self.rows = rows

    def prepare(self, count):
        self.found, self.scores = (c_uint64 * (count * self.k))(), (c_float * (count * self.k))()
        self.params.query_count = count

    def search(self, queries):
        """queries: the address of as many as were prepared for."""
        self.params.queries = queries
        self.context.api.wg_knn(self.context.handle, byref(self.params), self.found,
                                    self.scores)

    def result(self):
        """A list of ids and one of scores, query after query."""
        return list(self.found), list(self.scores)


class Store:
    def __init__(self, context, path, read_only=False):
        self.context, self.handle = context, c_void_p()
        library = context.api
        params = library.params(StoreParams, library.wg_store_params_init_sized,
                                read_only=read_only)
        library.wg_store_open(context.handle, path.encode(), byref(params), byref(self.handle))

    def create(self, name, metric, dim):
        library = self.context.api
        params = library.params(CollectionParams, library.wg_collection_params_init_sized, dim=dim,
                                metric=METRICS[metric])
        library.wg_collection_create(self.handle, name.encode(), byref(params))

    def open(self, name):
        return Collection(self, name)

    def close(self):
        self.context.api.wg_store_close(byref(self.handle))


class Collection:
    """A collection, and a searcher of it."""

    def __init__(self, store, name):
        self.api, self.handle, self.searcher = store.context.api, c_void_p(), c_void_p()
        self.api.wg_collection_open(store.handle, name.encode(), byref(self.handle))
        self.api.wg_searcher_create(self.handle, byref(self.searcher))

    def upsert(self, ids, vectors, dim):
        """ids: an array of Id. vectors: the address of as many."""
        batch = self.api.params(Batch, self.api.wg_batch_init_sized, count=len(ids),
                                    ids=ids, vectors=vectors)
        self.api.wg_collection_upsert(self.handle, dim, byref(batch))

    def info(self):
        info = self.api.params(CollectionInfo, self.api.wg_collection_info_init_sized)
        self.api.wg_collection_info_get(self.handle, byref(info))
        return info

    def wait_for_codes(self):
        """Until the rows are coded; the third search begins that, in the background."""
        deadline = time.monotonic() + CODES_SECONDS_MAX
        while True:
            info = self.info()
            may_miss = UNCODED_OF_SEGMENT * info.segment_count
            if info.coded_row_count + may_miss > info.row_count:
                return
            if time.monotonic() > deadline:
                raise RuntimeError(f'{info.coded_row_count} of {info.row_count} rows are coded '
                                   f'after {CODES_SECONDS_MAX} s')
            time.sleep(0.01)

    def setup_search(self, dim, k):
        self.params = self.api.params(
            SearchParams, self.api.wg_search_params_init_sized, dim=dim, k=k)

    def prepare(self, count):
        self.params.query_count = count

    def search(self, queries):
        self.params.queries = queries
        self.api.wg_searcher_run(self.searcher, byref(self.params))

    def result(self):
        ids, scores, count = [], [], c_size_t()
        for query in range(self.params.query_count):
            hits = self.api.wg_searcher_hits(self.searcher, query, byref(count))
            ids += [hits[i].id.value.number for i in range(count.value)]
            scores += [hits[i].score for i in range(count.value)]
        return ids, scores

    def close(self):
        self.api.wg_searcher_destroy(byref(self.searcher))
        self.api.wg_collection_close(byref(self.handle))
