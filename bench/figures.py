"""Figures of searches, each a function of a Bench that adds lines to its report."""
import hashlib
import shutil
import struct

import measure
import vectors
from machine import has_flag

K = 10
BATCH = 100
MB, GB = 1e6, 1e9
# OPENBLAS_CORETYPE: OpenBLAS does not know new processors, and takes old kernels for them.
CORETYPES = {'': None, 'HASWELL': 'avx2', 'SKYLAKEX': 'avx512f'}


def digest(answer):
    """Of ids and the bits of the scores: the same for any number of threads and batches."""
    packed = struct.pack(f'<{len(answer["ids"])}Q', *answer['ids'])
    packed += struct.pack(f'<{len(answer["scores"])}f', *answer['scores'])
    return hashlib.sha256(packed).hexdigest()[:12]


def runner(worker, *words):
    return lambda repeat: worker.ask(*words, repeat)


def waggle_worker(bench, threads, data, store, cpus):
    command = [bench.python, bench.here / 'waggle_worker.py', bench.shared_library, threads,
               data.dim, K, data.rows, data.queries, store]
    return bench.linked_worker('Waggle', command, cpus)


class Field:
    """One set of vectors, with everybody who searches it, on the same core."""

    def __init__(self, bench, data, metrics):
        self.bench, self.data, self.metrics = bench, data, metrics
        self.store = bench.folder / f'{data.name}-store'
        self.batch = min(BATCH, data.query_count)
        self.truths = {m: data.truth(bench.programs, m, K) for m in metrics}
        self.faiss, self.answers = {}, {}
        self.import_rows()
        self.one = self.waggle(1, bench.cores[-1:])
        self.start_faiss()

    def import_rows(self):
        shutil.rmtree(self.store, ignore_errors=True)
        for metric in self.metrics:
            self.bench.import_run(self.store, metric, self.data.rows, metric)(1)

    def waggle(self, threads, cpus):
        return waggle_worker(self.bench, threads, self.data, self.store, cpus)

    def start_faiss(self):
        if self.bench.why_not('faiss-cpu'):
            return
        command = [self.bench.peer_python, self.bench.here / 'faiss_worker.py', self.data.dim, K,
                   self.data.rows, self.data.queries]
        for coretype, flag in CORETYPES.items():
            if flag and not has_flag(flag):
                continue
            environment = {'OMP_NUM_THREADS': '1', 'OPENBLAS_NUM_THREADS': '1'}
            if coretype:
                environment['OPENBLAS_CORETYPE'] = coretype
            self.faiss[coretype] = self.bench.linked_worker('FAISS', command,
                                                             self.bench.cores[-1:], environment)

    def bandwidth(self, kind):
        return self.bench.worker([self.bench.programs / 'bandwidth', kind, self.data.rows],
                                 self.bench.cores[-1:])

    def faiss_runs(self, metric, batch):
        """By default FAISS does not call BLAS for so few queries: one kind of kernels is enough."""
        ways = [('', 'default')] + [(coretype, '20') for coretype in self.faiss if batch > 1]
        return {('FAISS', *way): runner(self.faiss[way[0]], 'search', way[1], metric, batch)
                for way in ways if self.faiss}

    def check(self, who, worker, how, metric, batch):
        """The answer's recall; Waggle's has to be 1 and the same by every way."""
        answer = worker.ask('answer', how, metric, batch)
        recall = self.data.recall(metric, self.truths[metric], answer['ids'])
        if 'scores' in answer:
            hashed = digest(answer)
            if self.answers.setdefault(metric, hashed) != hashed:
                self.bench.report.wrong(f'{self.data.name} {metric}: {who} answers {hashed}, '
                                        f'others {self.answers[metric]}')
            if recall < 1:
                self.bench.report.wrong(f'{self.data.name} {metric}: recall of {who} is '
                                        f'{recall:.4f}')
        return recall, answer['ids']

    def row(self, what, who, series, recall):
        """A line of what everybody reached; what: metric and batch."""
        rate = self.data.query_count / series.median
        self.bench.report.detail((f'{self.data.name}, {what}', who, f'{rate:,.0f} queries/s'),
                                 series, recall)
        return rate

    def close(self):
        self.one.close()
        for worker in self.faiss.values():
            worker.close()
        shutil.rmtree(self.store)


def same_share(ids, others):
    """The share of queries whose k ids are the same, in any order."""
    groups = list(zip(zip(*[iter(ids)] * K), zip(*[iter(others)] * K)))
    return sum(set(a) == set(b) for a, b in groups) / len(groups)


def faiss_name(name):
    _, coretype, threshold = name
    return f'FAISS Flat, BLAS threshold {threshold}, OPENBLAS_CORETYPE {coretype or "unset"}'


def batch_against_faiss(field, metric, required):
    """100 queries at a time on one core, next to FAISS's Flat at its best."""
    bench, what = field.bench, f'{metric}, {field.batch} at a time'
    contenders = {way: runner(field.one, 'search', way, metric, field.batch)
                  for way in ('collection', 'array')}
    contenders |= field.faiss_runs(metric, field.batch)
    series = measure.interleave(contenders, bench.effort, single_thread=True)
    recalls = {}
    for way in ('collection', 'array'):
        recalls[way], ids = field.check(f'Waggle ({way})', field.one, way, metric, field.batch)
        field.row(what, f'Waggle, {way}', series[way], recalls[way])
    faiss = [name for name in contenders if name[0] == 'FAISS']
    for name in faiss:
        recall, found = field.check('FAISS', field.faiss[name[1]], name[2], metric, field.batch)
        recalls[name] = recall, same_share(ids, found)
        field.row(what, faiss_name(name), series[name], recall)
    title = f'{field.data.name}, {what}, one core: Waggle / best FAISS Flat'
    if not faiss:
        bench.report.skip(title, f'≥ {required}', bench.why_not('faiss-cpu'))
        return
    best = min(faiss, key=lambda name: series[name].median)
    ratio = series[best].median / series['collection'].median
    note = f'best: {faiss_name(best)}; the same ids for {recalls[best][1]:.1%} of queries; ' \
           f'wg_knn: {series[best].median / series["array"].median:.2f}'
    bench.report.judge(title, f'≥ {required}', f'{ratio:.2f}', ratio >= required, note)


def single_against_bandwidth(field, metric):
    """One query at a time: bytes of rows per second, next to plain reading of as many bytes in
    pages of the same kind."""
    bench, what = field.bench, f'{metric}, one at a time'
    ways = {'collection': 'file', 'array': 'array'}
    readers = {way: field.bandwidth(kind) for way, kind in ways.items()}
    contenders = {way: runner(field.one, 'search', way, metric, 1) for way in ways}
    contenders |= {('read', way, streams): runner(reader, streams)
                   for way, reader in readers.items() for streams in (1, 2, 4)}
    contenders |= field.faiss_runs(metric, 1)
    series = measure.interleave(contenders, bench.effort, single_thread=True)
    for name in (name for name in contenders if name[0] == 'FAISS'):
        recall, _ = field.check('FAISS', field.faiss[name[1]], name[2], metric, 1)
        field.row(what, faiss_name(name), series[name], recall)
    for way, kind in ways.items():
        recall, _ = field.check(f'Waggle ({way})', field.one, way, metric, 1)
        field.row(what, f'Waggle, {way}', series[way], recall)
        reached = field.data.row_bytes * field.data.query_count / series[way].median
        reads = [series['read', way, streams] for streams in (1, 2, 4)]
        read = min(reads, key=lambda series: series.median)
        possible = readers[way].ask(1, 1)['bytes'] / read.median
        pages = 'pages of a file' if kind == 'file' else 'anonymous pages'
        bench.report.detail((f'{field.data.name}, {what}', f'a program that only reads, {pages}',
                             f'{possible / GB:.1f} GB/s'), read)
        bench.report.judge(f'{field.data.name}, {what}, one core, {way}: bytes scanned / read',
                           '≥ 80 %', f'{reached / possible:.0%}', reached >= 0.8 * possible,
                           f'{reached / GB:.1f} of {possible / GB:.1f} GB/s in {pages}')
        readers[way].close()


def two_cores(field, metric):
    bench, title = field.bench, f'{field.data.name}, {metric}'
    cpus = bench.cores[-2:]
    if len(cpus) < 2:
        bench.report.skip(f'{title}, {field.batch} at a time: two cores / one', '≥ 1.8',
                          'there is one physical core')
        return
    pair = field.waggle(2, cpus)
    for batch, judged in ((field.batch, True), (1, False)):
        contenders = {worker: runner(worker, 'search', 'collection', metric, batch)
                      for worker in (field.one, pair)}
        series = measure.interleave(contenders, bench.effort)
        one_recall, _ = field.check('Waggle', field.one, 'collection', metric, batch)
        recall, _ = field.check('Waggle (two cores)', pair, 'collection', metric, batch)
        what = f'{metric}, {batch} at a time' if judged else f'{metric}, one at a time'
        field.row(what, 'Waggle, collection, one core', series[field.one], one_recall)
        rate = field.row(what, 'Waggle, collection, two cores', series[pair], recall)
        ratio = series[field.one].median / series[pair].median
        note = f'{rate:,.0f} queries/s on processors {cpus[0]} and {cpus[1]}'
        name = f'{field.data.name}, {what}: two cores / one'
        if any(run.is_crowded for run in series.values()):
            bench.report.skip(name, '≥ 1.8' if judged else '', 'other work kept the cores busy in '
                              f'most runs; got {ratio:.2f}')
        elif judged:
            bench.report.judge(name, '≥ 1.8', f'{ratio:.2f}', ratio >= 1.8, note)
        else:
            bench.report.show(name, f'{ratio:.2f}', note)
    pair.close()


def generated(bench, kind):
    data = vectors.generate(bench.programs, bench.folder, kind, bench.shape)
    return Field(bench, data, ['dot', 'l2'])


def batch_figures(bench):
    for kind in ('latent', 'gaussian'):
        field = generated(bench, kind)
        for metric in field.metrics:
            batch_against_faiss(field, metric, 1.2)
        field.close()


def single_figures(bench):
    field = generated(bench, 'latent')
    for metric in field.metrics:
        single_against_bandwidth(field, metric)
    field.close()


def cores_figures(bench):
    field = generated(bench, 'latent')
    for metric in field.metrics:
        two_cores(field, metric)
    field.close()


def fashion_mnist_figure(bench):
    row_limit, query_limit, _ = bench.image_shape
    data = vectors.fashion_mnist(bench.folder, row_limit, query_limit)
    if not data:
        bench.report.skip('fashion-mnist, l2, 100 at a time, one core: Waggle / best FAISS Flat',
                          '≥ 1', f'{vectors.FASHION_MNIST} is not there (Debian and Ubuntu: apt '
                          'install dataset-fashion-mnist)')
        return
    field = Field(bench, data, ['l2'])
    batch_against_faiss(field, 'l2', 1)
    field.close()


FIGURES = {'batch': batch_figures, 'single': single_figures, 'cores': cores_figures,
           'fashion-mnist': fashion_mnist_figure}
