"""Every command of the binary that WAGGLE names, with right and with wrong inputs: exit codes, JSON
that parses, imports of every format, and what a signal, a closed pipe and a full device do.

Exit codes: 0 success, 1 failed, 2 wrong usage or input, 3 not found, 4 in use, 5 corrupt,
6 no space, 130 interrupted."""
import gzip
import json
import math
import os
import signal
import struct
import subprocess
import sys
import time
import unittest
import unittest.mock

from support.cli import (CORRUPT, INTERRUPTED, NOT_FOUND, USAGE, WAGGLE, CommandLine, fvecs,
                         idx, jsonl, npy, rows_of)

COMMANDS = ('create import search get scroll delete info list drop rename alias changes compact '
            'verify repair snapshot restore export devices bench demo version').split()


class Help(CommandLine):
    def test_every_command_has_help(self):
        for words in (['help'], ['--help'], ['-h']):
            text = self.run_bare(*words)
            for command in COMMANDS:
                self.assertIn(command, text)
        for command in COMMANDS:
            self.assertIn('usage: waggle ' + command, self.run_bare(command, '--help'))
            self.assertIn('usage: waggle ' + command, self.run_bare('help', command))

    def run_bare(self, *words, code=0):
        done = subprocess.run([WAGGLE, *words], capture_output=True, cwd=self.folder, text=True)
        self.assertEqual(done.returncode, code, done)
        return done.stdout + done.stderr

    def test_wrong_usage(self):
        self.assertIn('command', self.run_bare(code=USAGE))
        self.assertIn('search', self.run_bare('serach', code=USAGE))
        self.assertIn('frobnicate', self.run_bare('help', 'frobnicate', code=USAGE))
        for command in COMMANDS:
            self.assertIn('--nonsense', self.run_bare(command, '--nonsense', code=USAGE))
        for command in ('create import search get scroll delete info drop rename changes repair '
                        'snapshot restore export').split():
            self.run_bare(command, code=USAGE)
        for command in 'list devices repair version'.split():
            self.assertIn('surplus', self.run_bare(command, 'surplus', code=USAGE))
        self.assertEqual(os.listdir(self.folder), [])

    def test_version(self):
        self.assertIn('waggle ', self.run_bare('version'))
        self.assertEqual(self.run_bare('--version'), self.run_bare('version'))
        self.assertIn('waggle', json.loads(self.run_bare('version', '--json')))

    def test_devices(self):
        document = json.loads(self.run_bare('devices', '--json'))
        self.assertEqual(document['devices'][-1]['backend'], 'cpu')
        self.assertEqual(document['devices'][-1]['state'], 'ready')
        self.assertIn('cpu', self.run_bare('devices'))
        tier = json.loads(self.run_bare('devices', '--json', '--cpu', 'c'))
        self.assertEqual(tier['devices'][-1]['kernels'], 'c')
        self.assertIn('sse9', self.run_bare('devices', '--cpu', 'sse9', code=USAGE))
        with unittest.mock.patch.dict(os.environ, WAGGLE_CPU='c'):
            tier = json.loads(self.run_bare('devices', '--json'))
        self.assertEqual(tier['devices'][-1]['kernels'], 'c')
        with unittest.mock.patch.dict(os.environ, WAGGLE_CPU='sse9'):
            self.assertIn('WAGGLE_CPU', self.run_bare('devices', code=USAGE))
            self.run_bare('devices', '--cpu', 'c')
        self.assertIn('abacus', self.run_bare('devices', '--backend', 'abacus', code=USAGE))

    def test_bench(self):
        document = json.loads(self.run_bare('bench', '--json', '-n', '200', '-d', '8', '-r', '2'))
        self.assertTrue(document['results'])
        hashes = {tier: [r['hash'] for r in json.loads(self.run_bare(
            'bench', '--json', '-n', '500', '-d', '9', '-r', '1', '--cpu', tier))['results']]
            for tier in ('c', document['tier'])}
        self.assertEqual(len(set(map(tuple, hashes.values()))), 1)


class Collections(CommandLine):
    def test_create_list_info_drop(self):
        for metric in 'cosine dot euclidean manhattan chebyshev'.split():
            self.ok('create', metric, '--dim', 3, '--metric', metric)
            self.assertEqual(self.json('info', metric)['metric'], metric)
        self.ok('create', 'plain', '--dim', 65536)
        info = self.json('info', 'plain')
        self.assertEqual((info['dim'], info['metric'], info['count']), (65536, 'cosine', 0))
        names = [c['name'] for c in self.json('list')['collections']]
        self.assertEqual(names, sorted(names))
        self.assertEqual(len(names), 6)
        self.assertIn('plain', self.ok('list'))
        self.assertIn('65,536', self.ok('info', 'plain'))
        self.ok('drop', 'plain')
        self.fails(NOT_FOUND, 'plain', 'info', 'plain')
        self.assert_clean()

    def test_types(self):
        rows = [[i % 2, i // 2 % 2, 1, 0, 1, 0, 0, i // 4 % 2] for i in range(8)]
        lines = jsonl({'id': i, 'vector': row} for i, row in enumerate(rows))
        for type_ in ('f32', 'f16', 'u8', 'bits'):
            self.ok('import', type_, '-', '--format', 'jsonl', '--create', '--type', type_,
                    data=lines)
            info = self.json('info', type_)
            self.assertEqual(info['type'], type_)
            self.assertEqual(info['metric'], 'hamming' if type_ == 'bits' else 'cosine')
            self.assertIn(type_, self.ok('list'))
        packed = npy([[sum(bit << i for i, bit in enumerate(row))] for row in rows],
                     'B', '|u1')
        path = self.file('packed.npy', packed)
        self.ok('import', 'more', path, '--create', '--type', 'bits')
        self.assertEqual(self.lines('scroll', 'bits', '--with-vector'),
                         self.lines('scroll', 'more', '--with-vector'))
        for query in (['--id', 5], ['--vector', ','.join(map(str, rows[5]))]):
            hit = self.json('search', 'more', '-k', 1, '--with-vector', *query)['hits'][0]
            self.assertEqual((hit['id'], hit['score'], hit['vector']), (5, 0, rows[5]))
        told = self.lines('search', 'more', '-F', path)
        self.assertEqual([query['hits'][0]['id'] for query in told], list(range(8)))
        self.ok('create', 'halves', '--dim', 2, '--type', 'f16', '--metric', 'dot')
        self.ok('import', 'halves', '-', '--format', 'jsonl',
                data=jsonl([{'id': 1, 'vector': [0.1, 2049]}]))
        point, = self.lines('get', 'halves', 1, '--with-vector')
        self.assertEqual(point['vector'], [0.0999755859, 2048])
        self.fails(USAGE, '65504', 'import', 'halves', '-', '--format', 'jsonl',
                   data=jsonl([{'id': 2, 'vector': [1, 70000]}]))
        self.fails(USAGE, 'hamming', 'create', 'wrong', '--dim', 3, '--type', 'bits',
                   '--metric', 'dot')
        self.fails(USAGE, 'f16', 'create', 'wrong', '--dim', 3, '--type', 'f64')
        self.fails(USAGE, '--create', 'import', 'halves', path, '--metric', 'dot')

    def test_wrong_create(self):
        for dim in ('0', '65537', '-1', 'x', '3x', '', '99999999999999999999', '1.5'):
            self.fails(USAGE, 'dim', 'create', 'docs', f'--dim={dim}')
        self.fails(USAGE, 'dim', 'create', 'docs')
        self.fails(USAGE, 'cosine', 'create', 'docs', '--dim', 3, '--metric', 'l3')
        self.assertFalse(self.store.exists())
        for name in ('', 'a\nb', 'x' * 256):
            self.fails(USAGE, 'name', 'create', name, '--dim', 3)
        self.ok('create', 'docs', '--dim', 3)
        self.fails(1, 'docs', 'create', 'docs', '--dim', 3)

    def test_absent(self):
        self.fails(NOT_FOUND, 'store', 'info', 'docs')
        self.fails(NOT_FOUND, 'store', 'list')
        self.fails(NOT_FOUND, 'store', 'verify')
        self.fails(NOT_FOUND, 'store', 'drop', 'docs')
        self.assertFalse(self.store.exists())
        self.fill('other')
        for args in (['info'], ['drop'], ['scroll'], ['get', 1], ['delete', 1], ['verify'],
                     ['search', '--vector', '1']):
            self.fails(NOT_FOUND, 'docs', args[0], 'docs', *args[1:])

    def test_store_by_environment(self):
        environment = dict(os.environ, WAGGLE_STORE=str(self.folder / 'elsewhere'))
        subprocess.run([WAGGLE, 'create', 'docs', '--dim', '3'], env=environment, check=True,
                       stdout=subprocess.DEVNULL)
        self.assertTrue((self.folder / 'elsewhere').is_dir())

    def test_a_file_where_a_folder_should_be(self):
        self.store.write_text('not a store\n')
        for args in (['create', 'docs', '--dim', 3], ['list'], ['verify']):
            out, err = self.run_for_failure(*args)
            self.assertIn('store', err)
        self.assertEqual(self.store.read_text(), 'not a store\n')

    def run_for_failure(self, *args):
        with self.start(*args) as process:
            out, err = process.communicate(timeout=60)
        self.assertIn(process.returncode, (1, USAGE, NOT_FOUND, CORRUPT))
        return out.decode(), err.decode()

    def test_damage_is_told(self):
        self.fill(count=500, dim=16)
        segments = [p for p in self.store.rglob('*') if p.is_file() and 'mdb' not in p.name
                    and p.stat().st_size > 4096 + 16 * 4 * 500]
        self.assertTrue(segments)
        with open(segments[0], 'r+b') as file:
            file.seek(4096 + 64)
            file.write(b'\xee\xee')
        out, _ = self.run_for(1, 'verify')
        self.assertIn('problem', out)
        out, _ = self.run_for(1, 'verify', '--json')
        verdict = json.loads(out)
        self.assertFalse(verdict['ok'])
        self.assertEqual(verdict['problem_count'], len(verdict['problems']))
        with open(segments[0], 'r+b') as file:
            file.truncate(100)
        self.fails(CORRUPT, segments[0].name, 'search', 'docs', '--id', 1)
        self.ok('drop', 'docs')  # a damaged collection can be removed
        self.assert_clean()


class Points(CommandLine):
    def test_get_scroll_delete(self):
        points = [{'id': 5, 'vector': [1, 0], 'payload': {'t': 'five'}},
                  {'id': 'five', 'vector': [0, 1], 'payload': {'n': [1, {'m': None}]}},
                  {'id': '0a0a0a0a-1111-4222-8333-0123456789AB', 'vector': [3, 4]},
                  {'id': '77', 'vector': [-1, 2.5]},
                  {'id': 2**64 - 1, 'vector': [0, 0]}]
        path = self.file('p.jsonl', jsonl(points))
        self.ok('import', 'docs', path, '--create', '--metric', 'dot')
        got = self.lines('scroll', 'docs', '--with-vector')
        self.assertEqual([p['id'] for p in got],
                         [5, 2**64 - 1, '0a0a0a0a-1111-4222-8333-0123456789ab', '77', 'five'])
        self.assertEqual(got[0]['payload'], {'t': 'five'})
        self.assertEqual(got[3]['vector'], [-1, 2.5])
        self.assertEqual([p['id'] for p in self.lines('scroll', 'docs', '--limit', 2)],
                         [5, 2**64 - 1])
        page = self.lines('scroll', 'docs', '--after', 5, '--limit', 1)
        self.assertEqual([p['id'] for p in page], [2**64 - 1])
        got = self.lines('get', 'docs', 'five', 5, '"77"')
        self.assertEqual([p['id'] for p in got], ['five', 5, '77'])
        self.assertEqual(got[0]['payload'], {'n': [1, {'m': None}]})
        upper = self.lines('get', 'docs', '0A0A0A0A-1111-4222-8333-0123456789AB')
        self.assertTrue(upper[0]['found'])
        self.assertEqual(self.json('delete', 'docs', 5, 'five', 'gone')['deleted'], 2)
        self.assertEqual(self.count(), 3)
        self.assertIn('77', self.ok('scroll', 'docs'))
        self.assert_clean()

    def test_get_of_absent_points(self):
        self.fill()
        out, err = self.run_for(NOT_FOUND, 'get', 'docs', 999, 1, '"1"', '--json')
        found = [json.loads(line)['found'] for line in out.splitlines()]
        self.assertEqual(found, [False, True, False])
        self.assertIn('2 of 3', err)
        self.assertIn('999', self.run_for(NOT_FOUND, 'get', 'docs', 999)[0])

    def test_wrong_ids(self):
        self.fill()
        for command in ('get', 'delete'):
            self.fails(USAGE, 'id', command, 'docs', '')
            self.fails(USAGE, '300', command, 'docs', 'x' * 300)
            self.fails(USAGE, '18446744073709551616', command, 'docs', 2**64)
        self.assertEqual(self.count(), 20)

    def test_export_is_import(self):
        self.fill(count=50, dim=7, metric='euclidean')
        exported = self.ok('scroll', 'docs', '--json', '--with-vector').encode()
        self.ok('import', 'copy', self.file('e.jsonl', exported), '--create', '--metric',
                'euclidean')
        self.assertEqual(self.ok('scroll', 'copy', '--json', '--with-vector').encode(), exported)


class Searching(CommandLine):
    def test_known_answers(self):
        rows = rows_of(30, 5)
        query = [1, -2, 3, 0, 2]
        scores = {
            'dot': lambda a: sum(x * y for x, y in zip(a, query)),
            'euclidean': lambda a: -math.dist(a, query),
            'manhattan': lambda a: -sum(abs(x - y) for x, y in zip(a, query)),
            'chebyshev': lambda a: -max(abs(x - y) for x, y in zip(a, query)),
        }
        text = ','.join(map(str, query))
        for metric, score in scores.items():
            self.ok('import', metric, self.file('r.npy', npy(rows)), '--create', '--metric', metric)
            want = sorted(range(30), key=lambda r: (-score(rows[r]), r))
            for extra in ([], ['--threads', 1], ['--cpu', 'c']):
                hits = self.json('search', metric, '--vector', text, '-k', 30, *extra)['hits']
                self.assertEqual([h['id'] for h in hits], want)
                for hit in hits:
                    self.assertAlmostEqual(abs(score(rows[hit['id']])), abs(hit['score']), 4)

    def test_ways_to_ask(self):
        self.fill(dim=4)
        hits = self.json('search', 'docs', '--vector', '1, -2.5e0,3,4', '-k', 3)['hits']
        self.assertEqual(len(hits), 3)
        self.assertNotIn('vector', hits[0])
        hits = self.json('search', 'docs', '--id', 7, '--with-vector', '--with-payload')['hits']
        self.assertEqual(len(hits), 10)
        self.assertEqual(len(hits[0]['vector']), 4)
        self.assertEqual(hits[0]['payload'], {})
        queries = self.file('q.npy', npy(rows_of(7, 4)))
        answers = self.lines('search', 'docs', '--file', queries, '-k', 2)
        self.assertEqual([a['query'] for a in answers], list(range(7)))
        self.assertEqual(len(self.lines('search', 'docs', '--file', queries, '--limit', 3)), 3)
        lines = self.lines('search', 'docs', '--file', '-', '--format', 'jsonl', '-k', 2,
                           data=jsonl({'vector': r} for r in rows_of(7, 4)))
        self.assertEqual([a['hits'] for a in lines], [a['hits'] for a in answers])
        report = self.json('search', 'docs', '--id', 7, '--explain')['report']
        self.assertIn('cpu', report['device'].lower())
        self.assertTrue(report['reason'])
        self.assertIn('7', self.ok('search', 'docs', '--id', 7, '--explain'))
        self.ok('search', 'docs', '--id', 7, '--timeout-ms', 60000)

    def test_more_than_there_is(self):
        self.fill(count=3)
        self.assertEqual(len(self.json('search', 'docs', '--id', 1, '-k', 100)['hits']), 3)
        self.ok('create', 'empty', '--dim', 2)
        self.assertEqual(self.json('search', 'empty', '--vector', '1,2')['hits'], [])

    def test_a_threshold(self):
        self.ok('create', 'line', '--dim', 1, '--metric', 'euclidean')
        data = jsonl({'id': i, 'vector': [i]} for i in range(10))
        self.ok('import', 'line', self.file('line.jsonl', data))
        for threshold, count in (('2', 3), ('1.99', 2), ('0', 1), ('-1', 0), ('inf', 10)):
            found = self.json('search', 'line', '--vector', 0, '-k', 99, f'--threshold={threshold}')
            self.assertEqual([hit['id'] for hit in found['hits']], list(range(count)), threshold)
        self.assertIn('threshold', self.ok('search', 'line', '--vector', 0, '--threshold=-1'))
        for bad in ('x', '', 'nan', '1x'):
            self.fails(USAGE, 'threshold', 'search', 'line', '--vector', 0, '--threshold=' + bad)

    def test_wrong_queries(self):
        self.fill(dim=4)
        self.fails(USAGE, '4', 'search', 'docs', '--vector', '1,2,3')
        for bad in ('1,2,3,nan', '1,2,3,inf', '1,2,3,1e16', '1,2,3,x', '1,2,,4', '1,2,3,4,', '',
                    '1 2 3 4', '1,2,3,4x', '1,2,3,-1e999'):
            self.fails(USAGE, '', 'search', 'docs', '--vector=' + bad)
        for k in ('0', '-1', 'x', '99999999999999999999'):
            self.fails(USAGE, 'k', 'search', 'docs', '--id', 1, f'-k{k}')
        self.fails(NOT_FOUND, '999', 'search', 'docs', '--id', 999)
        self.fails(USAGE, '', 'search', 'docs')
        self.fails(USAGE, '', 'search', 'docs', '--id', 1, '--vector', '1,2,3,4')
        self.fails(NOT_FOUND, 'absent.npy', 'search', 'docs', '--file', 'absent.npy')
        self.fails(USAGE, 'threads', 'search', 'docs', '--id', 1, '--threads', 0)
        self.fails(USAGE, 'timeout', 'search', 'docs', '--id', 1, '--timeout-ms', 'soon')
        self.fails(USAGE, '3', 'search', 'docs', '--file',
                   self.file('three.npy', npy(rows_of(2, 3))))


class Importing(CommandLine):
    def vectors(self, name='docs'):
        return [p['vector'] for p in self.lines('scroll', name, '--with-vector')]

    def test_formats(self):
        rows = rows_of(25, 6)
        pixels = [[x % 256 for x in row] for row in rows]
        files = {
            'a.npy': (npy(rows), rows),
            'version2.npy': (npy(rows, version=2), rows),
            'doubles.npy': (npy(rows, 'd', '<f8'), rows),
            'bytes.npy': (npy(pixels, 'B', '|u1'), pixels),
            'a.fvecs': (fvecs(rows), rows),
            'a-ubyte.idx': (idx(rows), pixels),
            'images-idx3-ubyte': (idx(rows, [2, 3]), pixels),
            'a.jsonl': (jsonl({'vector': r} for r in rows), rows),
        }
        for name, (data, want) in files.items():
            for path, packed in ((name, data), (name + '.gz', gzip.compress(data))):
                collection = 'of ' + path
                document = self.json('import', collection, self.file(path, packed), '--create',
                                     '--metric', 'euclidean')
                self.assertEqual((document['imported'], document['count']), (25, 25), path)
                self.assertEqual(self.vectors(collection), want, path)
        self.assert_clean()

    def test_standard_input(self):
        rows = rows_of(25, 6)
        for form, data in (('npy', npy(rows)), ('fvecs', fvecs(rows)), ('idx', idx(rows)),
                           ('jsonl', jsonl({'vector': r} for r in rows)),
                           ('npy', gzip.compress(npy(rows)))):
            self.ok('import', form, '-', '--format', form, '--create', data=data)
            self.assertEqual(self.count(form), 25)

    def test_ids_limits_and_batches(self):
        path = self.file('a.npy', npy(rows_of(25, 6)))
        self.ok('import', 'docs', path, '--create', '--first-id', 1000, '--batch', 4, '--limit', 10)
        self.assertEqual([p['id'] for p in self.lines('scroll', 'docs')], list(range(1000, 1010)))
        self.ok('import', 'docs', path, '--first-id', 1005)
        self.assertEqual(self.count(), 30)

    def test_what_the_end_of_the_numbers_does(self):
        path = self.file('a.npy', npy(rows_of(5, 6)))
        with self.start('import', 'docs', path, '--create', '--first-id', 2**64 - 3) as process:
            _, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, USAGE, err)

    def test_empty_files(self):
        self.ok('create', 'docs', '--dim', 3)
        self.assertEqual(self.json('import', 'docs', self.file('e.npy', npy([])))['imported'], 0)
        self.assertEqual(self.count(), 0)

    def test_broken_files(self):
        self.ok('create', 'docs', '--dim', 6)
        good = rows_of(25, 6)
        cases = {
            'cut.npy': npy(good)[:-5], 'header.npy': npy(good)[:40], 'magic.npy': npy(good)[:4],
            'descr.npy': npy(good, descr='<c8'), 'short.fvecs': fvecs(good)[:-1],
            'mixed.fvecs': fvecs(good + [[1, 2]]), 'negative.fvecs': struct.pack('<i', -6),
            'huge.fvecs': struct.pack('<i', 2**31 - 1), 'cut.idx': idx(good)[:-1],
            'broken.npy.gz': gzip.compress(npy(good))[:-20],
            'crc.npy.gz': gzip.compress(npy(good))[:-8] + b'12345678',
            'nothing.jsonl': b'\x00\x01\x02', 'what.txt': b'hello, world\n', 'empty.npy': b'',
        }
        for name, data in cases.items():
            self.fails(USAGE, name, 'import', 'docs', self.file(name, data))
            self.assertEqual(self.count(), 0, name)
        self.fails(USAGE, '', 'import', 'docs', self.folder)
        self.fails(NOT_FOUND, 'absent.npy', 'import', 'docs', 'absent.npy')
        self.fails(USAGE, 'format', 'import', 'docs', self.file('a.npy', npy(good)), '--format',
                   'parquet')
        self.fails(USAGE, '7', 'import', 'docs', self.file('seven.npy', npy(rows_of(3, 7))))
        self.assert_clean()

    def test_wrong_values(self):
        self.ok('create', 'docs', '--dim', 3)
        for bad in (math.nan, math.inf, -math.inf, 1e16):
            rows = [[1, 2, 3] for _ in range(30)]
            rows[17][1] = bad
            self.fails(USAGE, '17', 'import', 'docs', self.file('v.npy', npy(rows)))
            self.fails(USAGE, '17', 'import', 'docs', self.file('v.fvecs', fvecs(rows)))
        self.assertEqual(self.count(), 0)

    def test_wrong_lines(self):
        self.ok('create', 'docs', '--dim', 2)
        fine = b'{"id": 1, "vector": [1, 2]}\n'
        for line in (b'{"id": 2, "vector": [1]}', b'{"id": 2, "vector": [1, 2, 3]}',
                     b'{"id": 2, "vector": [1, "x"]}', b'{"id": 2, "vector": [1, NaN]}',
                     b'{"id": 2, "vector": [1, 1e16]}', b'{"id": 2, "vector": [1, 1e999]}',
                     b'{"id": 2}', b'{"id": "", "vector": [1, 2]}', b'{"id": -1, "vector": [1, 2]}',
                     b'{"id": 1.5, "vector": [1, 2]}', b'{"id": null, "vector": [1, 2]}',
                     b'{"id": 2, "vector": [1, 2], "payload": []}', b'{"id": 2, "vector": [1, 2]',
                     b'{"id": 2, "vector": [1, 2], "payload": {"a":}}', b'[1, 2]', b'nonsense',
                     b'{"id": 18446744073709551616, "vector": [1, 2]}',
                     b'{"id": "' + b'x' * 300 + b'", "vector": [1, 2]}',
                     b'{"id": "\xff", "vector": [1, 2]}', b'{"id": 1, "vector": [3, 4]}',
                     b'{"id": 2, "vektor": [1, 2]}'):
            data = fine + line + b'\n'
            self.fails(USAGE, '2', 'import', 'docs', self.file('w.jsonl', data))
            self.assertEqual(self.count(), 0, line)
        self.ok('import', 'docs', self.file('w.jsonl', fine))
        self.assertEqual(self.count(), 1)


class Interrupted(CommandLine):
    def test_ctrl_c(self):
        for number, wait in ((signal.SIGINT, 0.5), (signal.SIGTERM, 0.5), (signal.SIGINT, 0)):
            process = self.feed_import('docs', 500)
            time.sleep(wait)
            process.send_signal(number)
            self.assertEqual(process.wait(timeout=20), INTERRUPTED, process.stderr.read())
            count = self.count()
            self.assertGreater(count, 0)
            self.assertEqual(count % 50, 0)
            self.assertEqual([p['id'] for p in self.lines('scroll', 'docs')], list(range(count)))
            self.assert_clean()
            self.ok('drop', 'docs')

    def test_ctrl_c_while_it_is_busy(self):
        path = self.file('many.npy', npy(rows_of(200000, 8)))  # seconds, in memory too
        process = self.start('import', 'docs', path, '--create', '--metric', 'dot', '--batch', 10)
        self.addCleanup(self.end, process)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(timeout=20), INTERRUPTED, process.stderr.read())
        count = self.count()
        self.assertEqual(count % 10, 0)
        self.assertLess(count, 200000)
        self.assertEqual([p['id'] for p in self.lines('scroll', 'docs')], list(range(count)))
        self.assert_clean()

    def test_a_closed_pipe(self):
        self.fill(count=3000, dim=8)
        for json_too in ([], ['--json']):
            with self.start('scroll', 'docs', '--with-vector', *json_too) as process:
                process.stdout.read(10)
                process.stdout.close()
                err = process.stderr.read().decode()
                process.wait(timeout=30)
            self.assertIn(process.returncode, (0, 1, 141, -signal.SIGPIPE), err)
            self.assertNotIn('Traceback', err)
        self.assert_clean()

    @unittest.skipUnless(os.path.exists('/dev/full'), 'no /dev/full')
    def test_a_full_device(self):
        self.fill(count=3000, dim=8)
        for args in (['scroll', 'docs'], ['list'], ['info', 'docs', '--json'], ['version'],
                     ['search', 'docs', '--id', '1'], ['devices', '--json'], ['help']):
            with open('/dev/full', 'wb') as full, self.start(*args, stdout=full) as process:
                _, err = process.communicate(timeout=30)
            self.assertNotEqual(process.returncode, 0, args)
            self.assertTrue(err, args)

    def test_a_folder_without_permission(self):
        """Root may write everywhere, so root tries it as nobody."""
        self.fill()
        os.chmod(self.folder, 0o755)
        for path in [self.store, *self.store.rglob('*')]:
            os.chmod(path, 0o555 if path.is_dir() else 0o444)
        self.addCleanup(lambda: [os.chmod(p, 0o755) for p in [self.store, *self.store.rglob('*')]])
        nobody = {'user': 65534, 'group': 65534} if os.geteuid() == 0 else {}
        for args in (['create', 'more', '--dim', '3'], ['delete', 'docs', '1'], ['drop', 'docs']):
            try:
                started = self.start(*args, **nobody)
            except PermissionError:
                self.skipTest('nobody may not run the binary where it is')
            with started as process:
                out, err = process.communicate(timeout=30)
            self.assertEqual((process.returncode, out), (1, b''), err)
            self.assertIn(b'store', err)
        for args in (['list'], ['info', 'docs'], ['search', 'docs', '--id', '1']):
            with self.start(*args, **nobody) as process:  # reads, or says why not
                _, err = process.communicate(timeout=30)
            self.assertIn(process.returncode, (0, 1), err)
            self.assertTrue(process.returncode == 0 or b'store' in err)


class Output(CommandLine):
    def test_no_colours_and_no_progress_off_a_terminal(self):
        path = self.file('a.npy', npy(rows_of(2000, 6)))
        with self.start('import', 'docs', path, '--create') as process:
            out, err = process.communicate(timeout=60)
        self.assertNotIn(b'\x1b', out + err)
        self.assertNotIn(b'\r', out + err)
        for args in (['list'], ['info', 'docs'], ['search', 'docs', '--id', 3], ['verify'],
                     ['scroll', 'docs', '--limit', 5], ['devices']):
            self.assertNotIn('\x1b', self.ok(*args))


if __name__ == '__main__':
    sys.exit(not unittest.main(exit=False).result.wasSuccessful())
