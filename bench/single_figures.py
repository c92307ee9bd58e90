"""Figures of one query at a time, of codes' size, and of making them: each next to plain reading of
as many bytes. Functions of a Bench, as in batch_figures.py."""
import dataclasses

import measure
import vectors
from batch_figures import end, generated_field
from field import FAISS_DEFAULT, GB, Field, Race, runner
from machine import memory_bytes, memory_text

STREAMS = (1, 2, 4)
CODES_REQUIRED, ROWS_REQUIRED, ENCODING_REQUIRED = 0.85, 0.8, 0.6
CODE_SIZE_REQUIRED = 0.3
PAGES = {'file': 'pages of a file', 'array': 'anonymous pages', 'huge': 'anonymous large pages'}


def read_runs(reader):
    """By the number of streams: which of them is the fastest depends on the processor."""
    return {(reader, streams): runner(reader, streams) for streams in STREAMS}


def fastest(reader, series):
    """The Series of the best number of streams, and the bytes per second."""
    best = min((series[reader, streams] for streams in STREAMS), key=lambda one: one.median)
    return best, reader.ask(1, 1)['bytes'] / best.median


@dataclasses.dataclass
class Reading:
    """What one way of Waggle reads for a query, and a program that only reads as much."""
    way: str  # "collection" or "array"
    of: str  # what is read
    kind: str  # of pages
    size: int  # bytes for one query
    required: float
    reader: measure.Worker


def readings(field, metric, of_rows, array):
    """of_rows: the collection also next to what it would have to read without codes."""
    data, code_bytes = field.data, field.one.ask('info', metric)['code_bytes']
    found = []
    if code_bytes:
        found.append(Reading('collection', 'codes', 'huge', code_bytes, CODES_REQUIRED,
                             field.bandwidth('huge', code_bytes)))
    if of_rows:
        found.append(Reading('collection', 'rows', 'file', data.row_bytes, ROWS_REQUIRED,
                             field.bandwidth('file', data.rows)))
    if array:
        found.append(Reading('array', 'rows', 'array', data.row_bytes, ROWS_REQUIRED,
                             field.bandwidth('array', data.rows)))
    return found


def race_single(field, metric, faiss=None, of_rows=False, array=False):
    """faiss: how many times as fast as FAISS is required."""
    wanted = readings(field, metric, of_rows, array)
    more = {}
    for reading in wanted:
        more |= read_runs(reading.reader)
    ours = ['collection', 'array'] if array else ['collection']
    race = Race(field, metric, 1, (ours, FAISS_DEFAULT), more)
    for reading in wanted:
        judge_reading(race, reading)
        reading.reader.close()
    race.judge(FAISS_DEFAULT, 'FAISS Flat', faiss)


def judge_reading(race, reading):
    report, pages = race.field.bench.report, PAGES[reading.kind]
    best, possible = fastest(reading.reader, race.series)
    reached = reading.size * race.rate(reading.way)
    report.detail((f'{race.field.data.title}, {race.what}',
                   f'a program that only reads, {reading.of}\' bytes, {pages}',
                   f'{possible / GB:.1f} GB/s'), best)
    report.judge(f'{race.title}, {reading.way}: bytes of {reading.of} / read',
                 f'≥ {reading.required:.0%}', f'{reached / possible:.0%}',
                 reached >= reading.required * possible,
                 f'{reached / GB:.1f} of {possible / GB:.1f} GB/s in {pages}')


def single_figures(bench):
    field = generated_field(bench, 'latent', bench.shape, ['dot', 'l2', 'cosine'])
    for metric in ('dot', 'l2'):
        race_single(field, metric, of_rows=True, array=True)
    race_single(field, 'cosine')
    end(field)
    field = generated_field(bench, 'latent', bench.single_shape, ['l2', 'cosine'])
    race_single(field, 'l2', faiss=2.5, array=True)
    race_single(field, 'cosine', faiss=2.5)
    end(field)
    largest_figures(bench)


def largest_figures(bench):
    """Rows, codes and FAISS's copy at once have to fit."""
    rows, queries, dim = bench.largest_shape
    free = memory_bytes('MemAvailable')
    if free < bench.largest_memory:
        bench.report.skip(f'latent {rows:,} x {dim}, one at a time, one core',
                          f'≥ {CODES_REQUIRED:.0%}, ≥ 3',
                          f'{memory_text("MemAvailable")} of memory are free, '
                          f'{bench.largest_memory >> 30} GiB are needed')
        return
    data = vectors.generate(bench.programs, bench.folder, 'latent', (rows, queries, dim))
    for metric in ('l2', 'cosine'):
        field = Field(bench, data, [metric])
        race_single(field, metric, faiss=3)
        field.close()
    data.remove()


# --- codes ---

def size_figure(field, metric):
    """Of the codes of some rows, next to these rows."""
    info, data = field.one.ask('info', metric), field.data
    row_bytes = info['coded_row_count'] * data.dim * 4
    title = f'{data.title}, {metric}: bytes of codes / of their rows'
    if not row_bytes:
        field.bench.report.skip(title, f'≤ {CODE_SIZE_REQUIRED}', 'too few rows to be coded')
        return
    ratio = info['code_bytes'] / row_bytes
    field.bench.report.judge(title, f'≤ {CODE_SIZE_REQUIRED}', f'{ratio:.3f}',
                             ratio <= CODE_SIZE_REQUIRED,
                             f'{info["coded_row_count"]:,} of {info["row_count"]:,} rows are coded')


def encoding_figure(field, metric):
    """Bytes of rows coded per second, next to reading them."""
    bench, data = field.bench, field.data
    reader = field.bandwidth('array', data.rows)
    coder = bench.worker([bench.programs / 'encode', metric, data.dim, data.rows],
                         bench.cores[-1:])
    series = measure.interleave({'encode': runner(coder)} | read_runs(reader), bench.effort,
                                single_thread=True)
    best, possible = fastest(reader, series)
    once = coder.ask(1)
    reached = once['bytes'] / series['encode'].median
    what = f'{data.title}, {metric}, rows in memory'
    bench.report.detail((what, 'coded', f'{reached / GB:.1f} GB/s'), series['encode'])
    bench.report.detail((what, 'read', f'{possible / GB:.1f} GB/s'), best)
    rows = reached / (data.dim * 4)
    bench.report.judge(f'{data.title}, {metric}, one core: bytes of rows coded / read',
                       f'≥ {ENCODING_REQUIRED:.0%}', f'{reached / possible:.0%}',
                       reached >= ENCODING_REQUIRED * possible,
                       f'{reached / GB:.1f} of {possible / GB:.1f} GB/s; {rows / 1e6:.1f} million '
                       f'rows/s; {once["creating"] / once["seconds"]:.0%} of a pass: memory, '
                       'centre and scale')
    coder.close()
    reader.close()


def codes_figures(bench):
    for shape in (bench.shape, bench.wide_shape):
        field = generated_field(bench, 'latent', shape, ['l2', 'cosine'])
        for metric in field.metrics:
            size_figure(field, metric)
        for metric in ('dot', 'l2'):
            encoding_figure(field, metric)
        end(field)


FIGURES = {'single': single_figures, 'codes': codes_figures}
