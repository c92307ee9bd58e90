#!/usr/bin/env python3
"""The acceptance figures of Waggle next to its peers: figure, required, got, PASS or FAIL.

Exits with 1 when a figure fails or a result is wrong. bench/README.md says what is measured.
"""
import argparse
import os
import pathlib
import shutil
import signal
import sys
import tempfile

import batch_figures
import machine
import measure
import peers
import report
import single_figures
import store_figures
import thread_figures

FIGURES = (batch_figures.FIGURES | single_figures.FIGURES | store_figures.FIGURES
           | thread_figures.FIGURES)
HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent


class Bench:
    """What the figures measure with, and what they report to."""

    def __init__(self, options):
        self.here, self.python = HERE, sys.executable
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='accept-', dir=options.dir))
        self.shared_library = options.build / 'libwaggle.so'
        self.programs, self.cli = options.build / 'bench', options.build / 'waggle'
        self.cores, self.all = machine.physical_cores(), os.sched_getaffinity(0)
        self.effort = measure.Effort(2, 0.005) if options.quick else measure.Effort(11, 0.15)
        self.shape = (2000, 20, 32) if options.quick else (100_000, 100, 128)
        self.wide_shape = (2000, 20, 64) if options.quick else (100_000, 100, 768)
        self.image_shape = (2000, 10, None) if options.quick else (60_000, 100, None)
        self.word_shape = (2000, 10, None) if options.quick else (None, 100, None)
        self.big_shape = (5000, 5, 32) if options.quick else (1_000_000, 5, 128)
        self.single_shape = (5000, 5, 32) if options.quick else (1_000_000, 20, 128)
        self.many_shape = (5000, 120, 32) if options.quick else (1_000_000, 1000, 128)
        self.largest_shape = (5000, 5, 64) if options.quick else (1_000_000, 10, 768)
        self.largest_memory = 0 if options.quick else 16 << 30
        self.batch_count = 300 if options.quick else 10_000
        self.beside_milliseconds = 50 if options.quick else 2000
        self.data_folder = options.data
        self.report = report.Report(judging=not options.quick)
        self.workers, self.versions = [], []
        self.peer_python, self.no_peers, self.missing = None, '--no-peers', {}
        if options.peers:
            self.no_peers = None
            self.find_peers(options.venv)

    def find_peers(self, folder):
        try:
            self.peer_python, self.missing = peers.install(folder)
        except peers.NotHere as why:
            self.no_peers = str(why)

    def why_not(self, package):
        """Why that package of a peer cannot be used; None when it can."""
        return self.missing.get(package) if self.peer_python else self.no_peers

    def worker(self, command, cpus, environment=None):
        self.workers.append(measure.Worker(command, cpus, environment))
        return self.workers[-1]

    def linked_worker(self, name, command, cpus, environment=None):
        """A worker that can say what it is; the report says it too."""
        worker = self.worker(command, cpus, environment)
        about = name, ', '.join(f'{key} {value}' for key, value in worker.ask('about').items())
        if about not in self.versions:
            self.versions.append(about)
        return worker

    def import_run(self, store, collection, rows, metric):
        """`waggle import`, as a run."""
        name = {'l2': 'euclidean'}.get(metric, metric)
        return measure.command_run([self.cli, 'import', collection, rows, '--create', '--metric',
                                    name, '--store', store, '--backend', 'cpu'], self.all)

    def close(self):
        for worker in self.workers:
            worker.process.kill()
            worker.process.wait()
        shutil.rmtree(self.folder)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('figures', nargs='*', metavar='FIGURE',
                        help=f'which to measure: {", ".join(FIGURES)} (default: all)')
    parser.add_argument('--build', type=pathlib.Path, default=ROOT / 'build/release', metavar='DIR',
                        help='where Waggle was built (default: build/release)')
    parser.add_argument('--dir', type=pathlib.Path, default=ROOT / 'build',
                        help='where a folder for the data is made, and removed afterwards; its disk'
                             ' is the one measured (default: build)')
    parser.add_argument('--venv', type=pathlib.Path, default=ROOT / 'build/venv', metavar='DIR',
                        help='environment of the peers, made if needed (default: build/venv)')
    parser.add_argument('--data', type=pathlib.Path, default=ROOT / 'build/data', metavar='DIR',
                        help='where GloVe is kept, fetched if needed (default: build/data)')
    parser.add_argument('--quick', action='store_true',
                        help='seconds: little data, speeds measured and not judged')
    parser.add_argument('--no-peers', dest='peers', action='store_false',
                        help='without the peers, and so without the network')
    parser.add_argument('--write', action='store_true', help='also write bench/RESULTS.md')
    options = parser.parse_args()
    if unknown := set(options.figures) - set(FIGURES):
        parser.error(f'no such figure: {", ".join(unknown)}')
    for needed in ('libwaggle.so', 'waggle', 'bench/bandwidth'):
        if not (options.build / needed).exists():
            parser.error(f'{options.build / needed} is not there; `make release` builds it')
    return options


def describe(bench, load, stolen):
    about = machine.about()
    about.append(('load', f'{load} at the start, {machine.load_text()} at the end; '
                          f'{machine.stolen_seconds() - stolen:.1f} s taken by other guests'))
    return about + bench.versions


def main():
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # cleans up on its way
    bench, load, stolen = Bench(options), machine.load_text(), machine.stolen_seconds()
    try:
        for name in options.figures or FIGURES:
            FIGURES[name](bench)
        bench.report.machine = describe(bench, load, stolen)
    finally:
        bench.close()
    text = bench.report.text()
    print('\n' + text)
    if options.write:
        (HERE / 'RESULTS.md').write_text(text)
    sys.exit(bench.report.failed())


main()
