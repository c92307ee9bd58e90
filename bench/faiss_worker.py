"""faiss_worker.py METRIC DIM K ROWS.npy QUERIES.npy: FAISS's Flat indexes, as a worker."""
import faiss
import numpy

import peer_worker

DEFAULT_THRESHOLD = faiss.cvar.distance_compute_blas_threshold
INDEXES = {'dot': faiss.IndexFlatIP, 'l2': faiss.IndexFlatL2}


class Flat(peer_worker.Peer):
    def __init__(self, metric, k, rows, queries):
        super().__init__(k, queries)
        faiss.omp_set_num_threads(1)
        self.index = INDEXES[metric](rows.shape[1])
        self.index.add(rows)

    def searcher(self, how):
        """how: the threshold of the products from which on FAISS calls BLAS, or "default"."""
        faiss.cvar.distance_compute_blas_threshold = (
            DEFAULT_THRESHOLD if how == 'default' else int(how))
        return lambda queries: self.index.search(queries, self.k)[1]

    def about(self):
        return {'version': faiss.__version__, 'options': faiss.get_compile_options().strip(),
                'numpy': numpy.__version__, 'threshold': DEFAULT_THRESHOLD}


peer_worker.serve(Flat)
