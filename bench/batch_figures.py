"""Figures of many queries at a time, each a function of a Bench that adds lines to its report."""
import measure
import vectors
from field import (FAISS_BLAS, FAISS_DEFAULT, SCANS, SGEMM_THRESHOLD, SGEMM_WHOLE, Field, Race,
                   runner, skip_peers)
from glove import glove
from machine import has_flag
from peers import NotHere

FAISS_TEXT = 'best FAISS Flat'
CORES_REQUIRED = 1.85
NO_AMX = 'no AMX'
MANY_QUERIES = 1000
MANY_RATE, MANY_FLOPS = 4000, 1e12  # with AMX


def sgemm_goal():
    """How many times as fast as sgemm and a threshold; None where no such thing is required."""
    if has_flag('amx_int8'):
        return None
    if has_flag('avx512_vnni') or has_flag('avx_vnni'):
        return 2
    return 1.3 if has_flag('avx2') else None


def race_batch(field, metric, faiss=None, amx=None, sgemm=None):
    """100 queries at a time next to everybody. faiss, amx, sgemm: how many times as fast as FAISS,
    as FAISS with AMX, and as sgemm with a threshold, where that is judged."""
    array = [] if metric == 'cosine' else ['array']  # which would normalise in each call
    everybody = FAISS_DEFAULT + FAISS_BLAS + SGEMM_THRESHOLD + SGEMM_WHOLE + SCANS
    race = Race(field, metric, field.batch, (['collection', *array], everybody))
    if not array:
        field.check('Waggle (array)', field.one, 'array', metric, field.batch)
    race.judge(FAISS_DEFAULT + FAISS_BLAS, FAISS_TEXT, faiss)
    if amx and has_flag('amx_int8'):
        race.judge(FAISS_DEFAULT + FAISS_BLAS, f'{FAISS_TEXT}, with AMX', amx)
    elif amx:
        field.bench.report.skip(f'{race.title}: Waggle / {FAISS_TEXT}, with AMX', f'≥ {amx:g}',
                                NO_AMX)
    race.judge(SGEMM_THRESHOLD, 'best sgemm + threshold', sgemm)
    race.judge(SGEMM_WHOLE, 'best sgemm + argpartition')
    for way in SCANS:
        race.judge([way], way.text)


def generated_field(bench, kind, shape, metrics):
    return Field(bench, vectors.generate(bench.programs, bench.folder, kind, shape), metrics)


def end(field):
    field.close()
    field.data.remove()


def batch_figures(bench):
    for kind, amx, sgemm in (('latent', 8, sgemm_goal()), ('gaussian', None, None)):
        field = generated_field(bench, kind, bench.shape, ['dot', 'l2', 'cosine'])
        race_batch(field, 'dot', faiss=1.2)
        race_batch(field, 'l2', faiss=1.2, amx=amx, sgemm=sgemm)
        race_batch(field, 'cosine', amx=amx, sgemm=sgemm)
        end(field)
    field = generated_field(bench, 'latent', bench.wide_shape, ['l2', 'cosine'])
    for metric in field.metrics:
        race_batch(field, metric, amx=5, sgemm=sgemm_goal())
    end(field)
    many_figures(bench)
    skip_peers(bench, 'many queries at a time')


def many_figures(bench):
    """1,000 queries at a time over many rows."""
    field = generated_field(bench, 'latent', bench.many_shape, ['l2', 'cosine'])
    effort = measure.Effort(min(5, bench.effort.rounds), bench.effort.slice_seconds)
    batch = min(MANY_QUERIES, field.data.query_count)
    for metric in field.metrics:
        race = Race(field, metric, batch, (['collection'], FAISS_BLAS + SGEMM_THRESHOLD),
                    effort=effort)
        report_many(race, field.data)
        race.judge(FAISS_BLAS, FAISS_TEXT)
        race.judge(SGEMM_THRESHOLD, 'best sgemm + threshold')
    end(field)


def report_many(race, data):
    report, title, rate = race.field.bench.report, race.title, race.rate('collection')
    flops = 2 * rate * data.row_count * data.dim
    got, rate_wanted, flops_wanted = f'{rate:,.0f} queries/s', f'≥ {MANY_RATE:,} queries/s', \
        f'≥ {MANY_FLOPS / 1e12:.1f} TFLOP/s'
    if has_flag('amx_int8'):
        report.judge(title, rate_wanted, got, rate >= MANY_RATE, 'with AMX')
        report.judge(title, flops_wanted, f'{flops / 1e12:.2f} TFLOP/s', flops >= MANY_FLOPS,
                     'with AMX; two operations for each component')
        return
    report.show(title, got, f'{flops / 1e12:.2f} TFLOP/s, two operations for each component')
    report.skip(f'{title}, with AMX', f'{rate_wanted}, {flops_wanted}', NO_AMX)


# --- real data ---

def fashion_mnist_figure(bench):
    row_limit, query_limit, _ = bench.image_shape
    data = vectors.fashion_mnist(bench.folder, row_limit, query_limit)
    if not data:
        bench.report.skip('fashion-mnist, 100 at a time, one core', '',
                          f'{vectors.FASHION_MNIST} is not there (Debian and Ubuntu: apt '
                          'install dataset-fashion-mnist)')
        return
    field = Field(bench, data, ['l2', 'cosine'])
    race_batch(field, 'l2', faiss=1, amx=6)
    race_batch(field, 'cosine')
    end(field)


def glove_figure(bench):
    row_limit, query_limit, _ = bench.word_shape
    try:
        if bench.no_peers:
            raise NotHere(bench.no_peers)
        data = glove(bench.data_folder, bench.folder, row_limit, query_limit)
    except NotHere as why:
        bench.report.skip('glove, 100 at a time, one core', '', str(why))
        return
    field = Field(bench, data, ['l2', 'cosine'])
    for metric in field.metrics:
        race_batch(field, metric)
    end(field)


# --- two cores ---

def two_cores(field, metric):
    bench, title = field.bench, f'{field.data.title}, {metric}'
    cpus = bench.cores[-2:]
    if len(cpus) < 2:
        bench.report.skip(f'{title}, {field.batch} at a time: two cores / one',
                          f'≥ {CORES_REQUIRED}', 'there is one physical core')
        return
    pair = field.waggle(2, cpus)
    for batch, judged in ((field.batch, True), (1, False)):
        race_cores(field, pair, metric, batch, judged)
    pair.close()


def race_cores(field, pair, metric, batch, judged):
    """The collection searched by one thread on one core, and by two on two."""
    report, cpus = field.bench.report, field.bench.cores[-2:]
    contenders = {worker: runner(worker, 'search', 'collection', metric, batch)
                  for worker in (field.one, pair)}
    series = measure.interleave(contenders, field.bench.effort)
    one_recall, _ = field.check('Waggle', field.one, 'collection', metric, batch)
    recall, _ = field.check('Waggle (two cores)', pair, 'collection', metric, batch)
    what = f'{metric}, {batch} at a time' if judged else f'{metric}, one at a time'
    field.row(what, 'Waggle, collection, one core', series[field.one], one_recall)
    rate = field.row(what, 'Waggle, collection, two cores', series[pair], recall)
    ratio = series[field.one].median / series[pair].median
    note = f'{rate:,.0f} queries/s on processors {cpus[0]} and {cpus[1]}'
    name = f'{field.data.title}, {what}: two cores / one'
    wanted = f'≥ {CORES_REQUIRED}' if judged else ''
    if any(run.is_crowded for run in series.values()):
        report.skip(name, wanted, f'other work kept the cores busy in most runs; got {ratio:.2f}')
    elif judged:
        report.judge(name, wanted, f'{ratio:.2f}', ratio >= CORES_REQUIRED, note)
    else:
        report.show(name, f'{ratio:.2f}', note)


def cores_figures(bench):
    field = generated_field(bench, 'latent', bench.shape, ['dot', 'l2', 'cosine'])
    for metric in field.metrics:
        two_cores(field, metric)
    end(field)


FIGURES = {'batch': batch_figures, 'fashion-mnist': fashion_mnist_figure, 'glove': glove_figure,
           'cores': cores_figures}
