#!/usr/bin/env python3
"""Stores of every released format open, verify, and hold what they held: tests/stores/*.tar.xz,
each with a .json of what is in it.

stores_test.py --write NAME makes such a pair with the binary that WAGGLE names. It is done once for
a format; what is there is never made again.
"""
import json
import pathlib
import subprocess
import sys
import tarfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent / 'support'))
from cli import CommandLine, jsonl  # noqa: E402

STORES = pathlib.Path(__file__).parent / 'stores'
METRICS = 'cosine', 'dot', 'euclidean', 'manhattan', 'chebyshev'


def points(count, dim, seed):
    """Ids of all kinds, short and long, with and without payloads."""
    for i in range(count):
        kind = i % 4
        id_ = (i if kind == 0 else f'{i:08x}-0000-4000-8000-{seed:012x}' if kind == 1
               else f'p{i}' if kind == 2 else f'{i}-' + 'long' * 20)
        point = {'id': id_, 'vector': [((i * 7 + d * 3 + seed) % 23 - 11) / 4 for d in range(dim)]}
        if i % 3:
            point['payload'] = {'n': i, 'text': 'é' * (i % 5), 'in': [i, None, {'deep': True}]}
        yield point


class Stores(CommandLine):
    def content(self, *place):
        """All that the command line tells of a store."""
        known = {c.pop('name'): c for c in self.json('list', *place)['collections']}
        told = {'aliases': {name: c['aliases'] for name, c in known.items()}}
        for name in known:
            info = self.json('info', name, *place)
            told[name] = {
                'info': {key: info[key] for key in ('dim', 'metric', 'count', 'epoch', 'sequence',
                                                    'chain_hash', 'horizon')},
                'points': self.lines('scroll', name, '--with-vector', *place),
                'changes': self.lines('changes', name, '--with-vector', *place),
            }
        return told

    def make(self, target):
        for metric in METRICS:
            self.ok('create', metric, '--dim', 3, '--metric', metric)
            self.ok('import', metric, '-', '--format', 'jsonl', data=jsonl(points(12, 3, 1)))
        self.ok('create', 'empty', '--dim', 1)
        self.ok('create', 'docs', '--dim', 5, '--metric', 'euclidean', '--history', 30)
        for seed in range(4):
            self.ok('import', 'docs', '-', '--format', 'jsonl', '--batch', 20,
                    data=jsonl(points(40 + seed, 5, seed % 2)))
        self.ok('delete', 'docs', '0', 'p2', 'absent')
        self.ok('create', 'packed', '--dim', 4, '--metric', 'dot', '--history', 0)
        for seed in range(3):
            self.ok('import', 'packed', '-', '--format', 'jsonl', data=jsonl(points(50, 4, 1)))
        self.ok('compact', 'packed')
        self.ok('import', 'packed', '-', '--format', 'jsonl', data=jsonl(points(5, 4, 9)))
        self.ok('alias', 'newest', 'docs')
        self.ok('export', 'docs', self.folder / 'docs.waggle')
        target.parent.mkdir(exist_ok=True)
        for lock in self.store.rglob('lock.mdb'):
            lock.unlink()
        with tarfile.open(target.with_suffix('.tar.xz'), 'w:xz') as tar:
            tar.add(self.store, 'store')
            tar.add(self.folder / 'docs.waggle', 'docs.waggle')
        told = {'store': self.content(), 'file': self.content('--store', 'docs.waggle')}
        target.with_suffix('.json').write_text(json.dumps(told, indent=1, ensure_ascii=False))

    def check(self, target):
        with tarfile.open(target) as tar:
            tar.extractall(self.folder)
        expected = json.loads(target.with_suffix('').with_suffix('.json').read_text())
        self.assertEqual(self.content(), expected['store'])
        self.assertEqual(self.content('--store', 'docs.waggle'), expected['file'])
        for place in ((), ('--store', 'docs.waggle')):
            self.ok('verify', *place)
        self.ok('import', 'docs', '-', '--format', 'jsonl', data=jsonl(points(30, 5, 7)))
        self.ok('compact')
        self.ok('verify')

    def test_every_format_opens(self):
        targets = sorted(STORES.glob('*.tar.xz'))
        self.assertTrue(targets)
        for target in targets:
            with self.subTest(target.name):
                self.check(target)


if len(sys.argv) == 3 and sys.argv[1] == '--write':
    Stores.runTest = lambda self: self.make(STORES / sys.argv[2])
    sys.exit(not unittest.TextTestRunner().run(Stores()).wasSuccessful())
unittest.main()
