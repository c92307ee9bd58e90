"""One set of vectors with everybody who searches it, on the same core, and races between them."""
import dataclasses
import hashlib
import shutil
import struct

import measure
from machine import has_flag

K = 10
BATCH = 100
MB, GB = 1e6, 1e9
SAME_SHARE_MIN = 0.999  # of queries, for which a peer has to find the same rows up to ties
# OPENBLAS_CORETYPE: OpenBLAS does not know new processors, and takes old kernels for them.
CORETYPES = {'': None, 'HASWELL': 'avx2', 'SKYLAKEX': 'avx512f'}
PEERS = {  # name: its package, its worker
    'FAISS': ('faiss-cpu', 'faiss_worker.py'),
    'NumPy': ('numpy', 'numpy_worker.py'),
    'hnswlib': ('hnswlib', 'hnswlib_worker.py'),
    'usearch': ('usearch', 'usearch_worker.py'),
}


@dataclasses.dataclass(frozen=True)
class Way:
    """How a peer searches: its name, what its worker is told, and OPENBLAS_CORETYPE, None where
    that says nothing."""
    peer: str
    how: str
    text: str
    coretype: str = None

    def __str__(self):
        kernels = self.coretype or 'unset'
        return self.text + ('' if self.coretype is None else f', OPENBLAS_CORETYPE {kernels}')


def with_kernels(peer, how, text):
    """The same with each kind of OpenBLAS's kernels that the processor can run."""
    return [Way(peer, how, text, coretype) for coretype, flag in CORETYPES.items()
            if not flag or has_flag(flag)]


# By default FAISS does not call BLAS for so few queries: one kind of kernels is enough.
FAISS_DEFAULT = [Way('FAISS', 'default', 'FAISS Flat, BLAS threshold default')]
FAISS_BLAS = with_kernels('FAISS', '20', 'FAISS Flat, BLAS threshold 20')
SGEMM_THRESHOLD = with_kernels('NumPy', 'threshold', 'NumPy, sgemm + threshold')
SGEMM_WHOLE = with_kernels('NumPy', 'whole', 'NumPy, sgemm + argpartition')
SCANS = [Way('hnswlib', 'brute', 'hnswlib, brute force'), Way('usearch', 'exact', 'usearch, exact')]


def digest(answer):
    """Of ids and the bits of the scores: the same for any number of threads and batches."""
    packed = struct.pack(f'<{len(answer["ids"])}Q', *answer['ids'])
    packed += struct.pack(f'<{len(answer["scores"])}f', *answer['scores'])
    return hashlib.sha256(packed).hexdigest()[:12]


def runner(worker, *words):
    return lambda repeat: worker.ask(*words, repeat)


class Field:
    """Vectors in a store, and a Waggle that searches them with one thread."""

    def __init__(self, bench, data, metrics):
        self.bench, self.data, self.metrics = bench, data, metrics
        self.store = bench.folder / f'{data.name}-store'
        self.batch = min(BATCH, data.query_count)
        self.truths, self.answers = {}, {}
        self.import_rows()
        self.one = self.waggle(1, bench.cores[-1:])

    def import_rows(self):
        shutil.rmtree(self.store, ignore_errors=True)
        for metric in self.metrics:
            self.bench.import_run(self.store, metric, self.data.rows, metric)(1)

    def waggle(self, threads, cpus):
        bench, data = self.bench, self.data
        command = [bench.python, bench.here / 'waggle_worker.py', bench.shared_library, threads,
                   data.dim, K, data.rows, data.queries, self.store]
        return bench.linked_worker('Waggle', command, cpus)

    def peer(self, way, metric):
        data, metric = self.data.for_products(self.bench.programs, metric)
        command = [self.bench.peer_python, self.bench.here / PEERS[way.peer][1], metric, data.dim,
                   K, data.rows, data.queries]
        environment = {'OMP_NUM_THREADS': '1', 'OPENBLAS_NUM_THREADS': '1'}
        if way.coretype:
            environment['OPENBLAS_CORETYPE'] = way.coretype
        return self.bench.linked_worker(way.peer, command, self.bench.cores[-1:], environment)

    def bandwidth(self, kind, what):
        """A reader of a file, or of so many bytes."""
        return self.bench.worker([self.bench.programs / 'bandwidth', kind, what],
                                 self.bench.cores[-1:])

    def truth(self, metric):
        if metric not in self.truths:
            self.truths[metric] = self.data.truth(self.bench.programs, metric, K)
        return self.truths[metric]

    def wrong(self, metric, what):
        self.bench.report.wrong(f'{self.data.title} {metric}: {what}')

    def check(self, who, worker, how, metric, batch):
        """The recall of Waggle's answer, and its ids: the one has to be 1 and the other the same,
        with the scores' bits, by every way."""
        answer = worker.ask('answer', how, metric, batch)
        recall = self.data.recall(metric, self.truth(metric), answer['ids'])
        hashed = digest(answer)
        if self.answers.setdefault(metric, hashed) != hashed:
            self.wrong(metric, f'{who} answers {hashed}, others {self.answers[metric]}')
        if recall < 1:
            self.wrong(metric, f'recall of {who} is {recall:.4f}')
        return recall, answer['ids']

    def row(self, what, who, series, recall):
        """A line of what somebody reached; what: metric and batch."""
        rate = self.data.query_count / series.median
        self.bench.report.detail((f'{self.data.title}, {what}', who, f'{rate:,.0f} queries/s'
                                  if rate >= 100 else f'{rate:.1f} queries/s'), series, recall)
        return rate

    def close(self):
        self.one.close()
        shutil.rmtree(self.store)


class Race:
    """Ways of Waggle ("collection", "array") and of peers on one core, in turns; all answers are
    checked. more: contenders that do not search, by name."""

    def __init__(self, field, metric, batch, ways, more=None, effort=None):
        """ways: Waggle's and then the peers'."""
        self.field, self.metric, self.batch = field, metric, batch
        self.what = f'{metric}, ' + (f'{batch:,} at a time' if batch > 1 else 'one at a time')
        self.title = f'{field.data.title}, {self.what}, one core'
        self.ours, peers = ways
        self.peers = [way for way in peers if not field.bench.why_not(PEERS[way.peer][0])]
        self.workers, self.same, self.ids = {}, {}, None
        contenders = {way: runner(field.one, 'search', way, metric, batch) for way in self.ours}
        contenders |= {way: runner(self.worker(way), 'search', way.how, batch)
                       for way in self.peers}
        self.series = measure.interleave(contenders | (more or {}), effort or field.bench.effort,
                                         single_thread=True, rare=self.rare())
        self.check()
        for worker in self.workers.values():
            worker.close()

    def worker(self, way):
        key = way.peer, way.coretype or ''
        if key not in self.workers:
            self.workers[key] = self.field.peer(way, self.metric)
        return self.workers[key]

    def rare(self):
        """Those that take long and are far from the best."""
        if self.batch == 1:
            return []
        return [way for way in self.peers if way in FAISS_DEFAULT + SGEMM_WHOLE + SCANS]

    def check(self):
        field, metric, truth = self.field, self.metric, self.field.truth(self.metric)
        for way in self.ours:
            recall, self.ids = field.check(f'Waggle ({way})', field.one, way, metric, self.batch)
            field.row(self.what, f'Waggle, {way}', self.series[way], recall)
        for way in self.peers:
            ids = self.worker(way).ask('answer', way.how, self.batch)['ids']
            self.same[way] = field.data.same_share(metric, truth, self.ids, ids)
            if self.same[way] < SAME_SHARE_MIN:
                field.wrong(metric, f'Waggle and {way} find the same rows for '
                                    f'{self.same[way]:.1%} of queries')
            field.row(self.what, way, self.series[way], field.data.recall(metric, truth, ids))

    def rate(self, way):
        return self.field.data.query_count / self.series[way].median

    def best(self, ways):
        """The fastest of these; None where none is here."""
        return min((way for way in ways if way in self.peers),
                   key=lambda way: self.series[way].median, default=None)

    def ratio(self, other, way='collection'):
        """How many times as fast Waggle is."""
        return self.series[other].median / self.series[way].median

    def note(self, other):
        parts = [f'best: {other}', f'the same ids for {self.same[other]:.1%} of queries']
        if 'array' in self.ours:
            parts.append(f'wg_knn: {self.ratio(other, "array"):.2f}')
        return '; '.join(parts)

    def judge(self, ways, name, required=None):
        """Waggle's collection next to the fastest of the ways, which are of one peer. required
        None: reported, where that peer is here."""
        report, title = self.field.bench.report, f'{self.title}: Waggle / {name}'
        wanted, other = f'≥ {required:g}' if required else '', self.best(ways)
        if not other:
            if required:
                report.skip(title, wanted, self.field.bench.why_not(PEERS[ways[0].peer][0]))
            return
        ratio = self.ratio(other)
        if required:
            report.judge(title, wanted, f'{ratio:.2f}', ratio >= required, self.note(other))
        else:
            report.show(title, f'{ratio:.2f}', self.note(other))


def skip_peers(bench, title):
    """A line for the peers that are not here, and why."""
    missing = {}
    for name, (package, _) in PEERS.items():
        if why := bench.why_not(package):
            missing.setdefault(why, []).append(name)
    for why, names in missing.items():
        bench.report.skip(f'{title}, beside {"; ".join(names)}', '', why)
