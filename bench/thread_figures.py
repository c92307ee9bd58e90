"""Figures of several threads, and of single microseconds, taken by programs in C. Functions of a
Bench, as in batch_figures.py."""
import statistics

import measure
import vectors
from field import MB

GROUP = 64  # threads, and points in a commit of the bare loop
SMALL_ROWS = 256
WRITER_BATCHES = (1, 1000)
BARE_TABLES = 6  # of bare_commits.c: all that a commit of Waggle's holds
CALLERS = (1, 2, 8, 32)  # threads
MASKED_QUERIES = (1, 100)
LIVE_PER_MILLION = (10, 1000, 10_000, 100_000, 500_000, 1_000_000)
BESIDE_TITLE = 'p99 of searches beside a writer / alone, two cores'


def generated(bench, name, shape):
    folder = bench.folder / name
    folder.mkdir()
    return vectors.generate(bench.programs, folder, 'gaussian', shape, seed=10)


def writers_figures(bench):
    """64 threads that each upsert one point after the other, next to one thread, and to a loop that
    does as much to the disk and to LMDB."""
    data = generated(bench, 'writers', bench.shape)
    store, bare = bench.folder / 'writers/store', bench.folder / 'writers/bare'
    writers = bench.worker([bench.programs / 'writers', store, data.dim, data.rows], bench.all)
    loop = bench.worker([bench.programs / 'bare_commits', bare, data.dim], bench.all)
    series = measure.interleave({
        'one thread': lambda repeat: writers.ask(1, GROUP * repeat),
        f'{GROUP} threads': lambda repeat: writers.ask(GROUP, GROUP * repeat),
        'bare loop': lambda repeat: loop.ask(repeat, BARE_TABLES),
        'bare loop, points alone': lambda repeat: loop.ask(repeat, 1),
    }, measure.Effort(bench.effort.rounds, 4 * bench.effort.slice_seconds))
    writers.close()
    loop.close()
    rates = {name: GROUP / run.median for name, run in series.items()}
    texts = {name: f'{rate:,.0f} points/s' for name, rate in rates.items()}
    for name, run in series.items():
        bench.report.detail(('single durable upserts', name, texts[name]), run)
    one, many, bare, barest = rates.values()
    title, note = f'{GROUP} threads of single durable upserts', f'{texts[f"{GROUP} threads"]} of '
    bench.report.judge(f'{title} / one thread', '≥ 8', f'{many / one:.1f}', many >= 8 * one,
                       note + texts['one thread'])
    bench.report.judge(f'{title} / a bare loop of fdatasync and LMDB commits', '≥ 60 %',
                       f'{many / bare:.0%}', many >= 0.6 * bare, note + texts['bare loop'])
    bench.report.show(f'{title} / a bare loop that puts the points alone', f'{many / barest:.0%}',
                      note + texts['bare loop, points alone'])


def hits_figures(bench):
    """What a collection adds to the search inside it, for ten hits with their ids."""
    _, query_count, dim = bench.shape
    data = generated(bench, 'hits', (SMALL_ROWS, query_count, dim))
    worker = bench.worker([bench.programs / 'hits', bench.folder / 'hits/store', dim, data.rows,
                           data.queries], bench.cores[-1:])
    for state, judged in (('warm', True), ('cold', False)):
        series = measure.interleave(
            {way: lambda repeat, w=way, s=state: worker.ask(w, s, repeat)
             for way in ('bare', 'whole')}, hits_effort(bench, state), single_thread=True)
        for way, name in (('bare', 'the search inside'), ('whole', 'wg_searcher_run, ids read')):
            bench.report.detail((f'ten hits of {SMALL_ROWS} x {dim}, {state} caches', name,
                                 f'{series[way].median * 1e6:.2f} µs'), series[way])
        added = series['whole'].median - series['bare'].median
        title = f'ids of ten hits, {state} caches: added to the bare search'
        got = f'{added * 1e6:.2f} µs'
        note = f'{series["whole"].median * 1e6:.2f} µs and {series["bare"].median * 1e6:.2f} µs, ' \
               f'{SMALL_ROWS} rows'
        if judged:
            bench.report.judge(title, '≤ 3 µs', got, added <= 3e-6, note)
        else:
            bench.report.show(title, got, note)
    worker.close()


def hits_effort(bench, state):
    """Cold searches take a thousand times as long, most of it outside of what they count."""
    slice_seconds = bench.effort.slice_seconds
    return measure.Effort(bench.effort.rounds, slice_seconds / (1 if state == 'warm' else 100))


class Beside:
    """What searches took beside a writer of batches of some points, 0: alone; and beside a thread
    that wrote as much, as often, to a file of no database."""

    def __init__(self, batch):
        self.batch, self.runs = batch, []
        self.series, self.plain = measure.Series(), measure.Series()

    def add(self, ask):
        run = self.run(self.series, lambda: ask(self.batch, 0))
        self.runs.append(run)
        if self.batch:
            interval = run['seconds'] / max(1, run['written'] / self.batch)
            self.run(self.plain, lambda: ask(self.batch, round(interval * 1e6)))

    def run(self, series, ask):
        run, thrown_away = measure.undisturbed(ask)
        series.add(run['p99'], run, thrown_away)
        return run

    def median(self, key):
        return statistics.median(run[key] for run in self.runs)

    def text(self):
        return f'p50 {self.median("p50") * 1e3:.2f} ms, p99 {self.series.median * 1e3:.2f} ms'

    def written(self):
        return statistics.median(run['written'] / run['seconds'] for run in self.runs)


def beside_figures(bench):
    """A searching thread on one core, alone and with a writer on the other."""
    cpus = bench.cores[-2:]
    if len(cpus) < 2:
        bench.report.skip(BESIDE_TITLE, '≤ 1.5', 'there is one physical core')
        return
    rows, query_count, dim = bench.shape
    data = generated(bench, 'beside', (2 * rows, query_count, dim))  # larger than the last cache
    program = bench.worker([bench.programs / 'beside', bench.folder / 'beside/store', dim,
                            data.rows, data.queries, *cpus], set(cpus))
    ways = [Beside(batch) for batch in (0, *WRITER_BATCHES)]
    for turn in range(min(7, bench.effort.rounds)):
        for way in ways if turn % 2 == 0 else reversed(ways):
            way.add(lambda *what: program.ask(bench.beside_milliseconds, *what))
    program.close()
    for way in ways:
        who = f'beside batches of {way.batch:,}' if way.batch else 'alone'
        bench.report.detail(('single searches', who, way.text()), way.series)
    for way in ways[1:]:
        report_beside(bench, data, ways[0], way)


def report_beside(bench, data, alone, beside):
    ratio = beside.series.median / alone.series.median
    plain = beside.plain.median / alone.series.median
    title = f'{BESIDE_TITLE}; batches of {beside.batch:,}'
    if alone.series.is_crowded or beside.series.is_crowded:
        bench.report.skip(title, '≤ 1.5', 'other work kept the cores busy in most runs; got '
                          f'{ratio:.2f}; beside a thread that writes as much to a file {plain:.2f}')
        return
    bench.report.judge(
        title, '≤ 1.5', f'{ratio:.2f}', ratio <= 1.5,
        f'alone: {alone.text()}; beside: {beside.text()}; beside a thread that writes as much to a '
        f'file: p99 {beside.plain.median * 1e3:.2f} ms, {plain:.2f}; written: '
        f'{beside.written():,.0f} points/s, {beside.written() * data.dim * 4 / MB:.1f} MB/s; '
        f'{data.row_count:,} rows became {beside.median("rows"):,.0f}, dead ones included')


def callers_figures(bench):
    """Threads that search one collection, one query at a time: gathered, apart, and as many queries
    in one call. Nothing is required: the ratios say what gathering is worth here."""
    data = generated(bench, 'callers', bench.shape)
    program = bench.worker([bench.programs / 'callers', bench.folder / 'callers/store', data.dim,
                            data.rows, data.queries], bench.all)
    for threads in CALLERS:
        runs = {way: [] for way in ('apart', 'gathered', 'batch')}
        for _ in range(min(5, bench.effort.rounds)):
            for way, asked in runs.items():
                asked.append(program.ask(threads, way, bench.beside_milliseconds // 4))
        rate, p50, p99 = ({way: statistics.median(run[key] for run in asked)
                           for way, asked in runs.items()} for key in ('rate', 'p50', 'p99'))
        bench.report.show(
            f'{threads} callers of single queries, {data.row_count:,} x {data.dim}: gathered / '
            'apart', f'{rate["gathered"] / rate["apart"]:.2f}',
            f'{rate["gathered"]:,.0f} and {rate["apart"]:,.0f} queries/s, one call of {threads} '
            f'{rate["batch"]:,.0f}; gathered p50 {p50["gathered"] * 1e3:.2f} ms, p99 '
            f'{p99["gathered"] * 1e3:.2f} ms, apart {p50["apart"] * 1e3:.2f} and '
            f'{p99["apart"] * 1e3:.2f} ms')
    program.close()


def masked_figures(bench):
    """A scan of which few rows are live, next to one of all rows."""
    data = generated(bench, 'masked', bench.shape)
    for kind in ('plain', 'coded'):
        program = bench.worker([bench.programs / 'masked', kind, data.dim, data.rows],
                               bench.cores[-1:])
        for pattern in ('scattered', 'clustered'):
            for queries in MASKED_QUERIES:
                runs = [program.ask(pattern, live, queries, bench.effort.rounds)
                        for live in LIVE_PER_MILLION]
                bench.report.show(
                    f'time of a scan with a mask / without, {kind}, {pattern}, {queries} queries',
                    ', '.join(f'{run["masked"] / run["whole"]:.3f}' for run in runs),
                    'live: ' + ', '.join(f'{live / 1e4:g} %' for live in LIVE_PER_MILLION))
        program.close()


FIGURES = {'writers': writers_figures, 'hits': hits_figures, 'beside': beside_figures,
           'callers': callers_figures, 'masked': masked_figures}
