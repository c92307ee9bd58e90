"""Figures of the store beside other stores: one durable batch, an import, opening again after a
kill. Functions of a Bench, as in batch_figures.py."""
import functools
import os
import shutil
import statistics
import time

import measure
import vectors
from field import GB, K, MB

IMPORT_BATCH = 32768
KILLED_WHILE_WRITING = 0.3  # seconds of writing before the kill
SYNC_BYTES = b'\1' * 4096
PEERS = {  # name: its package, and the words that store_worker.py knows it by
    'SQLite, vec0': ('sqlite-vec', ['sqlite'], ['vec0']),
    'SQLite, table': ('sqlite-vec', ['sqlite'], ['table']),
    'LanceDB': ('lancedb', ['lancedb'], []),
    'Qdrant Edge': ('qdrant-edge-py', ['qdrant'], []),
}
WAGGLE = 'Waggle'


def contenders(bench):
    """Names of Waggle and of the peers that are here."""
    return [WAGGLE, *(name for name, (package, *_) in PEERS.items() if not bench.why_not(package))]


def store_worker(bench, name, data, cpus):
    script = bench.here / 'store_worker.py'
    given = [data.dim, K, data.rows, data.queries]
    environment = {'LD_PRELOAD': str(bench.programs / 'sync_count.so'), 'RUST_LOG': 'error'}
    if name == WAGGLE:
        command = [bench.python, script, 'waggle', *given, bench.shared_library, len(cpus)]
    else:
        _, peer, more = PEERS[name]
        command = [bench.peer_python, script, *peer, *given, *more]
    return bench.linked_worker(name, command, cpus, environment)


def skip_peers(bench, title):
    """A line for the peers that are not here, and why."""
    missing = {}
    for name, (package, *_) in PEERS.items():
        if why := bench.why_not(package):
            missing.setdefault(why, []).append(name)
    for why, names in missing.items():
        bench.report.skip(f'{title}, beside {"; ".join(names)}', '', why)


def beside_note(values):
    """values: name to text, Waggle's left out."""
    others = '; '.join(f'{name} {text}' for name, text in values.items() if name != WAGGLE)
    return f'beside: {others}' if others else ''


def notes(*parts):
    return '; '.join(part for part in parts if part)


def fresh(path, run):
    """run, without what an earlier one left at path, in memory or on the way to the disk; what it
    leaves goes too."""
    def clean():
        shutil.rmtree(path, ignore_errors=True)
        path.unlink(missing_ok=True)
        os.sync()

    def clean_run(repeat):
        clean()
        result = run(repeat)
        clean()
        return result
    return clean_run


@functools.cache
def big_data(bench):
    folder = bench.folder / 'big'
    folder.mkdir()
    return vectors.generate(bench.programs, folder, 'gaussian', bench.big_shape, seed=8)


# --- one durable batch ---

def sync_run(path):
    """How long one sync takes here: 4 KiB appended to a file, and fdatasync."""
    def run(_repeat):
        file, count = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 20
        begun = time.perf_counter()
        for _ in range(count):
            os.write(file, SYNC_BYTES)
            os.fdatasync(file)
        seconds = time.perf_counter() - begun
        os.close(file)
        return {'seconds': seconds / count, 'waited': 0}
    return run


class Batches:
    """Everybody's stores, each with the same rows, that take the same batches in turn."""

    def __init__(self, bench, ids):
        self.bench, self.ids, self.count = bench, ids, bench.batch_count
        folder = bench.folder / f'batches-{ids}'
        folder.mkdir()
        data = vectors.generate(bench.programs, folder, 'gaussian', bench.shape, seed=9)
        self.dim, self.syncs = data.dim, {}
        self.workers = {name: store_worker(bench, name, data, bench.all)
                        for name in contenders(bench)}
        for number, worker in enumerate(self.workers.values()):
            worker.ask('begin', folder / f'store-{number}', ids, data.row_count)
        runs = {name: self.run(name) for name in self.workers}
        runs['sync'] = sync_run(folder / 'synced')
        self.series = measure.interleave(runs, measure.Effort(bench.effort.rounds, 0))
        for worker in self.workers.values():
            worker.kill()
        shutil.rmtree(folder)

    def run(self, name):
        def run(_repeat):
            result = self.workers[name].ask('durable_batch', self.count)
            self.syncs.setdefault(name, []).append(result['syncs'])
            return result
        return run

    def sync_text(self, name):
        files, writes, maps = max(self.syncs[name], key=sum)
        return f'{files} of files, {writes} by writes, {maps} of mappings'

    def report(self):
        report, milliseconds = self.bench.report, {}
        what = f'{self.count:,} x {self.dim} in one durable batch, {self.ids}'
        for name in self.workers:
            series = self.series[name]
            milliseconds[name] = f'{series.median * 1e3:,.1f} ms'
            report.detail((what, name, milliseconds[name]), series)
        sync = self.series['sync']
        report.detail(('one sync: 4 KiB appended', 'fdatasync', f'{sync.median * 1e3:.2f} ms'),
                      sync)
        limit, note = 3 * sync.median + 0.05, beside_note(milliseconds)
        if self.ids == 'numbers':
            report.judge(what, f'≤ {limit * 1e3:.1f} ms', milliseconds[WAGGLE],
                         self.series[WAGGLE].median <= limit,
                         notes(f'3 syncs of {sync.median * 1e3:.2f} ms and 50 ms', note))
        else:
            report.show(what, milliseconds[WAGGLE], note)
        counts = {name: max(map(sum, self.syncs[name])) for name in self.workers}
        report.judge(f'syncs of that batch, {self.ids}', '≤ 3', str(counts[WAGGLE]),
                     counts[WAGGLE] <= 3, notes(self.sync_text(WAGGLE), beside_note(counts)))


def durable_batch_figures(bench):
    """One batch into a store that holds as many points as the data has, and in Waggle's an open
    segment with room."""
    for ids in ('numbers', 'uuids'):
        Batches(bench, ids).report()
    skip_peers(bench, f'{bench.batch_count:,} points in one durable batch')


# --- import ---

def fill_run(worker, path, ids):
    return fresh(path, lambda _repeat: worker.ask('fill', path, ids, IMPORT_BATCH))


def import_figures(bench):
    """From a file to durable collections, next to dd with fsync on the same disk, and to peers."""
    data, path, copy = big_data(bench), bench.folder / 'filled', bench.folder / 'copy'
    workers = {name: store_worker(bench, name, data, bench.all) for name in contenders(bench)}
    copying = ['dd', f'if={data.rows}', f'of={copy}', 'bs=1M', 'conv=fsync']
    runs = {
        'dd': fresh(copy, measure.command_run(copying, bench.all)),
        ('waggle import', 'numbers'): fresh(
            path, bench.import_run(path, 'rows', data.rows, 'l2')),
    }
    runs |= {(name, ids): fill_run(worker, path, ids)
             for name, worker in workers.items() for ids in ('numbers', 'uuids')}
    rare = [way for way in runs if way[0] in PEERS]
    series = measure.interleave(runs, measure.Effort(min(5, bench.effort.rounds), 0), rare=rare)
    for worker in workers.values():
        worker.close()
    report_import(bench, data, series)
    skip_peers(bench, 'import')


def report_import(bench, data, series):
    rates = {way: data.row_bytes / run.median for way, run in series.items()}
    for way, run in series.items():
        who, ids = (way, 'conv=fsync') if way == 'dd' else way
        bench.report.detail((f'import, {ids}', who, f'{rates[way] / MB:,.0f} MB/s'), run)
    disk = 0.6 * rates['dd']
    for who, ids, goal in (('waggle import', 'numbers', 400 * MB), (WAGGLE, 'numbers', 400 * MB),
                           (WAGGLE, 'uuids', 60 * MB)):
        others = {name: f'{rates[name, ids] / MB:.0f} MB/s' for name in PEERS
                  if (name, ids) in rates}
        call = 'wg_collection_upsert' if who == WAGGLE else who
        bench.report.judge(
            f'import of {data.row_count:,} x {data.dim}, durable, {ids}, {call}',
            f'≥ {min(goal, disk) / MB:.0f} MB/s', f'{rates[who, ids] / MB:.0f} MB/s',
            rates[who, ids] >= min(goal, disk),
            notes(f'60 % of dd with fsync: {disk / MB:.0f} MB/s', beside_note(others)))


# --- opening again after a kill ---

class Reopening:
    """One contender's store, opened by a new process each time; the one before was killed while it
    wrote."""

    def __init__(self, bench, name, data, path):
        self.bench, self.name, self.data, self.path = bench, name, data, path
        self.opened, self.searched = [], []
        worker = store_worker(bench, name, data, bench.all)
        worker.ask('fill', path, 'numbers', IMPORT_BATCH)
        worker.kill()
        self.die_writing(self.open()[0])

    def open(self):
        worker = store_worker(self.bench, self.name, self.data, self.bench.all)
        return worker, worker.ask('reopen', self.path)

    def die_writing(self, worker):
        worker.tell('keep_writing', 100)
        time.sleep(KILLED_WHILE_WRITING)
        worker.kill()

    def run(self, _repeat):
        worker, result = self.open()
        self.opened.append(result['open'])
        self.searched.append(result['search'])
        self.die_writing(worker)
        return result

    def parts(self):
        return (f'open {statistics.median(self.opened) * 1e3:,.1f} ms, first search '
                f'{statistics.median(self.searched) * 1e3:,.1f} ms')


def reopen_figures(bench):
    data = big_data(bench)
    stores = {name: Reopening(bench, name, data, bench.folder / f'reopened-{number}')
              for number, name in enumerate(contenders(bench))}
    series = measure.interleave({name: store.run for name, store in stores.items()},
                                measure.Effort(min(5, bench.effort.rounds), 0))
    what = f'{data.row_count:,} x {data.dim} opened after a kill -9, first search answered'
    for name, store in stores.items():
        bench.report.detail((what, name, store.parts()), series[name])
    medians = {name: f'{run.median * 1e3:,.0f} ms' for name, run in series.items()}
    bench.report.judge(what, '< 1 s', f'{series[WAGGLE].median * 1e3:,.1f} ms',
                       series[WAGGLE].median < 1,
                       notes(stores[WAGGLE].parts(), beside_note(medians)))
    search_beside_peers(bench, stores)
    skip_peers(bench, 'opened after a kill -9, and searched')
    for store in stores.values():
        shutil.rmtree(store.path)


def search_beside_peers(bench, stores):
    """The stores that were opened again, searched on one core; everybody is asked for the exact
    nearest."""
    data = stores[WAGGLE].data
    truth, workers, recalls = data.truth(bench.programs, 'l2', K), {}, {}
    for name, store in stores.items():
        workers[name] = store_worker(bench, name, data, bench.cores[-1:])
        workers[name].ask('reopen', store.path)
        workers[name].ask('settle')
        found = workers[name].ask('answer')['ids']
        recalls[name] = data.recall('l2', truth, found)
    if recalls[WAGGLE] < 1:
        bench.report.wrong(f'after a kill: recall of Waggle is {recalls[WAGGLE]:.4f}')
    series = measure.interleave(
        {name: lambda repeat, w=worker: w.ask('search', repeat)
         for name, worker in workers.items()},
        measure.Effort(min(3, bench.effort.rounds), bench.effort.slice_seconds))
    what, rates = f'{data.row_count:,} x {data.dim}, l2, one at a time, one core', {}
    for name, run in series.items():
        rates[name] = f'{data.query_count / run.median:,.1f} queries/s'
        bench.report.detail((what, name, rates[name]), run, recalls[name])
        workers[name].close()
    reached = data.row_bytes * data.query_count / series[WAGGLE].median
    bench.report.show(what, rates[WAGGLE],
                      notes(f'{reached / GB:.1f} GB/s of rows', beside_note(rates)))


FIGURES = {'durable-batch': durable_batch_figures, 'import': import_figures,
           'reopen': reopen_figures}
