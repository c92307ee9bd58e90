"""The commands that look after a store: compact, snapshot, restore, export, repair, verify --equal,
rename, alias, changes, and what others see while one process writes. WAGGLE names the binary."""
import json
import os
import signal
import sys
import time
import unittest

from support.cli import (BUSY, CORRUPT, INTERRUPTED, NOT_FOUND, USAGE, CommandLine, jsonl, npy,
                         rows_of)

FAILED = 1


class Store(CommandLine):
    def at(self, store, *args):
        """The arguments of a command for another store than the test's own."""
        return [args[0], '--store', store, *args[1:]]

    def points(self, store=None, name='docs'):
        return self.lines(*self.at(store or self.store, 'scroll', name, '--with-vector'))

    def put(self, first, count, store=None, name='docs', vector=(1, 2, 3, 4)):
        lines = jsonl({'id': first + i, 'vector': [x + i for x in vector], 'payload': {'n': i}}
                      for i in range(count))
        self.ok(*self.at(store or self.store, 'import', name, '-', '--format', 'jsonl'),
                data=lines)

    def assert_clean_at(self, store):
        self.assertTrue(self.json(*self.at(store, 'verify'))['ok'])

    def assert_equal(self, a, b):
        verdict = self.json('verify', '--equal', a, b)
        self.assertEqual((verdict['equal'], verdict['difference_count']), (True, 0))
        self.assertIn('equal', self.ok('verify', '--equal', a, b))

    def damage(self, store=None):
        """Two bytes of a vector are others."""
        segments = sorted(p for p in (store or self.store).rglob('*.seg'))
        self.assertTrue(segments)
        with open(segments[0], 'r+b') as file:
            file.seek(4096 + 16)
            old = file.read(2)
            file.seek(4096 + 16)
            file.write(bytes(b ^ 0x11 for b in old))

    def bytes_of(self, folder):
        return {p.relative_to(folder): p.read_bytes() for p in folder.rglob('*') if p.is_file()}


class Beside(Store):
    """Reading commands work while another process writes; writing ones say who does."""

    def test_readers_beside_a_writer(self):
        process = self.feed_import('docs', 500)
        for args in (['info', 'docs'], ['search', 'docs', '--id', 1], ['verify'], ['list'],
                     ['scroll', 'docs'], ['get', 'docs', 1], ['alias'], ['changes', 'docs'],
                     ['verify', 'docs']):
            self.ok(*args)
        count = self.count()
        self.assertEqual((count % 50, count > 0), (0, True))
        for args in (['delete', 'docs', 1], ['create', 'more', '--dim', 3], ['drop', 'docs'],
                     ['compact'], ['rename', 'docs', 'more'], ['alias', 'more', 'docs'],
                     ['alias', '--remove', 'more'], ['repair', '--dry-run'],
                     ['restore', self.store, '--store', self.folder / 'copy']):
            self.fails(BUSY, str(process.pid), *args)
        process.stdin.close()
        self.assertEqual(process.wait(timeout=60), 0)
        self.assertEqual(self.count(), 500)

    def test_copies_beside_a_writer(self):
        process = self.feed_import('docs', 500)
        copy, file = self.folder / 'copy', self.folder / 'docs.waggle'
        for number in (self.json('snapshot', copy)['points'],
                       self.json('export', 'docs', file)['points']):
            self.assertEqual((number % 50, number > 0), (0, True))
        process.stdin.close()
        self.assertEqual(process.wait(timeout=60), 0)
        for store in (copy, file):
            self.assert_clean_at(store)
            points = self.points(store)
            self.assertEqual(points, self.points()[:len(points)])


class Compacting(Store):
    def test_space_comes_back(self):
        """A fifth of the rows: too few for the compaction in the background."""
        for name in ('docs', 'more'):
            self.ok('create', name, '--dim', 32, '--metric', 'dot', '--history', 5,
                    '--codes', 'off')  # they take space of their own, when they come
            self.ok('import', name, self.file('r.npy', npy(rows_of(20000, 32))))
        self.ok('delete', 'docs', *range(8000, 12000))
        before, points = self.json('info', 'docs'), self.points()
        self.assertEqual((before['row_count'], before['dead_row_count']), (20000, 4000))
        docs, more = self.lines('compact')
        self.assertEqual((docs['collection'], docs['row_count_before'], docs['row_count']),
                         ('docs', 20000, 16000))
        self.assertEqual((more['collection'], more['row_count_before'], more['row_count']),
                         ('more', 20000, 20000))
        self.assertLess(docs['disk_bytes'], docs['disk_bytes_before'] - 4000 * 32)
        after = self.json('info', 'docs')
        self.assertEqual((after['row_count'], after['dead_row_count'], after['disk_bytes']),
                         (16000, 0, docs['disk_bytes']))
        self.assertEqual((after['sequence'], after['chain_hash']),
                         (before['sequence'], before['chain_hash']))
        self.assertEqual(self.points(), points)
        self.assertIn('rows 20,000 before', self.ok('compact', 'more'))
        self.assert_clean()
        self.fails(NOT_FOUND, 'absent', 'compact', 'absent')

    def test_what_the_list_of_changes_needs_stays(self):
        self.ok('create', 'docs', '--dim', 4, '--metric', 'dot')
        self.put(0, 500)
        self.ok('delete', 'docs', *range(100))
        changes = self.lines('changes', 'docs', '--with-vector')
        self.ok('compact', 'docs')
        self.assertEqual(self.lines('changes', 'docs', '--with-vector'), changes)
        self.assertEqual(self.json('info', 'docs')['row_count'], 500)


class Names(Store):
    def test_rename(self):
        self.fill('docs')
        self.fill('other')
        self.ok('alias', 'live', 'docs')
        points = self.points()
        self.assertEqual(self.json('rename', 'docs', 'papers'), {'from': 'docs', 'to': 'papers'})
        self.assertEqual(self.points(name='papers'), points)
        self.assertEqual(self.points(name='live'), points)
        self.fails(NOT_FOUND, 'docs', 'info', 'docs')
        self.fails(NOT_FOUND, 'docs', 'rename', 'docs', 'more')
        self.fails(FAILED, 'other', 'rename', 'papers', 'other')
        self.fails(FAILED, 'live', 'rename', 'papers', 'live')
        self.fails(USAGE, 'name', 'rename', 'papers', '')
        self.assert_clean()

    def test_alias(self):
        self.fill('one', count=3)
        self.fill('two', count=4)
        self.assertEqual(self.json('alias')['aliases'], [])
        self.assertIn('no aliases', self.ok('alias'))
        self.assertEqual(self.json('alias', 'live', 'one'),
                         {'alias': 'live', 'collection': 'one'})
        self.assertEqual(self.count('live'), 3)
        self.assertIn('two', self.ok('alias', 'live', 'two'))
        self.assertEqual(self.count('live'), 4)
        self.ok('alias', 'a', 'two')
        self.assertEqual(self.json('alias')['aliases'], [{'alias': 'a', 'collection': 'two'},
                                                         {'alias': 'live', 'collection': 'two'}])
        self.assertEqual({c['name']: c['aliases'] for c in self.json('list')['collections']},
                         {'one': [], 'two': ['a', 'live']})
        self.assertRegex(self.ok('list'), r'one .*iB *\n(.*\n)*two .*iB  a, live\n')
        self.assertIn('live', self.ok('alias'))
        self.put(7, 2, name='live')
        self.assertEqual(self.count('two'), 6)
        self.assertEqual(self.json('alias', '--remove', 'a'), {'removed': 'a'})
        self.ok('drop', 'two')
        self.assertEqual(self.json('alias')['aliases'], [])
        self.assertNotIn('aliases', self.ok('list'))
        self.assert_clean()

    def test_wrong_aliases(self):
        self.fill('one')
        self.fails(NOT_FOUND, 'onne', 'alias', 'live', 'onne')
        self.fails(FAILED, 'one', 'alias', 'one', 'one')
        self.fails(NOT_FOUND, 'live', 'alias', '--remove', 'live')
        self.fails(NOT_FOUND, 'one', 'alias', '--remove', 'one')
        self.fails(USAGE, 'live', 'alias', 'live')
        self.fails(USAGE, 'surplus', 'alias', '--remove', 'live', 'surplus')
        self.assertEqual(self.json('alias')['aliases'], [])


class Copies(Store):
    def test_snapshot_and_restore(self):
        self.fill('docs', count=500, dim=16)
        self.fill('more', count=30)
        self.ok('alias', 'live', 'docs')
        snapshot, restored = self.folder / 'snapshot', self.folder / 'restored'
        told = self.json('snapshot', snapshot)
        self.assertEqual((told['collections'], told['points']), (2, 530))
        self.assert_equal(self.store, snapshot)
        self.assertIn('530', self.ok(*self.at(restored, 'restore', snapshot)))
        self.assert_equal(self.store, restored)
        self.assertEqual(self.json(*self.at(restored, 'alias'))['aliases'],
                         [{'alias': 'live', 'collection': 'docs'}])
        before = self.points()
        self.ok(*self.at(snapshot, 'delete', 'docs', 1, 2, 3))  # a copy goes its own way
        self.ok(*self.at(restored, 'drop', 'more'))
        self.assertEqual(self.points(), before)
        for store in (self.store, snapshot, restored):
            self.assert_clean_at(store)

    def test_where_no_copy_can_be(self):
        self.fill()
        full = self.folder / 'full'
        full.mkdir()
        (full / 'file').write_text('here')
        snapshot = self.folder / 'snapshot'
        self.ok('snapshot', snapshot)
        self.fails(USAGE, 'empty', 'snapshot', full)
        self.fails(USAGE, 'empty', *self.at(full, 'restore', snapshot))
        self.fails(USAGE, 'empty', 'restore', snapshot)
        self.assertEqual(os.listdir(full), ['file'])
        self.fails(NOT_FOUND, 'absent', *self.at('absent', 'snapshot', 'copy'))
        self.fails(NOT_FOUND, 'absent', *self.at('copy', 'restore', 'absent'))
        self.fails(NOT_FOUND, '', 'snapshot', 'no/such/place')
        self.assertFalse((self.folder / 'copy').exists())
        empty = self.folder / 'empty'
        empty.mkdir()
        self.ok(*self.at(empty, 'restore', snapshot))
        self.assert_equal(self.store, empty)

    def test_a_damaged_snapshot(self):
        self.fill(count=500, dim=16)
        snapshot, restored = self.folder / 'snapshot', self.folder / 'restored'
        self.ok('snapshot', snapshot)
        self.damage(snapshot)
        self.fails(CORRUPT, '.seg', *self.at(restored, 'restore', snapshot))
        self.assertFalse(restored.exists())

    def test_equal(self):
        self.fill(count=20)
        self.fill('more')
        copy = self.folder / 'copy'
        self.ok('snapshot', copy)
        self.put(5, 1)
        verdict = json.loads(self.run_for(FAILED, 'verify', '--equal', self.store, copy,
                                          '--json')[0])
        self.assertFalse(verdict['equal'])
        self.assertEqual(verdict['difference_count'], len(verdict['differences']))
        out, _ = self.run_for(FAILED, 'verify', '--equal', copy, self.store)
        self.assertIn('docs', out)
        self.assertNotIn('more', out)
        out, _ = self.run_for(FAILED, 'verify', '--equal', copy, self.store, '--limit', 1)
        self.assertIn('the first 1 of them', out)
        self.ok('drop', 'docs')
        self.assertIn('docs', self.run_for(FAILED, 'verify', '--equal', self.store, copy)[0])
        self.fails(USAGE, '--equal', 'verify', '--equal', self.store)
        self.fails(USAGE, '--equal', 'verify', '--equal')
        self.fails(USAGE, 'surplus', 'verify', 'docs', 'surplus')
        self.fails(NOT_FOUND, 'absent', 'verify', '--equal', self.store, 'absent')


class Exported(Store):
    def setUp(self):
        super().setUp()
        self.exported = self.folder / 'docs.waggle'
        self.fill(count=300, dim=6)
        self.put(0, 30, vector=[1, 2, 3, 4, 5, 6])
        self.ok('delete', 'docs', 77)

    def test_it_reads_as_a_store(self):
        told = self.json('export', 'docs', self.exported)
        self.assertEqual((told['points'], told['bytes']), (299, self.exported.stat().st_size))
        for args in (['search', 'docs', '--id', 5, '-k', 20, '--with-payload', '--with-vector'],
                     ['search', 'docs', '--vector', '1,2,3,4,5,7'], ['get', 'docs', 0, 100, 299],
                     ['scroll', 'docs', '--with-vector']):
            self.assertEqual(self.lines(*self.at(self.exported, *args)), self.lines(*args))
        here, there = self.json('info', 'docs'), self.json(*self.at(self.exported, 'info', 'docs'))
        for key in ('name', 'dim', 'metric', 'count', 'epoch', 'sequence', 'chain_hash'):
            self.assertEqual(here[key], there[key], key)
        listed = self.json(*self.at(self.exported, 'list'))['collections']
        self.assertEqual([(c['name'], c['count']) for c in listed], [('docs', 299)])
        self.assert_clean_at(self.exported)
        self.assert_equal(self.store, self.exported)

    def test_it_cannot_be_written(self):
        self.assertIn('299', self.ok('export', 'docs', self.exported))
        before = self.exported.read_bytes()
        more = self.file('more.npy', npy(rows_of(3, 6)))
        for args in (['delete', 'docs', 1], ['drop', 'docs'], ['create', 'more', '--dim', 3],
                     ['import', 'docs', more], ['compact'], ['rename', 'docs', 'more'],
                     ['alias', 'live', 'docs']):
            self.fails(FAILED, '', *self.at(self.exported, *args))
        self.fails(FAILED, 'exist', 'export', 'docs', self.exported)
        self.fails(NOT_FOUND, 'absent', 'export', 'absent', 'other.waggle')
        self.assertEqual(self.exported.read_bytes(), before)

    def test_it_is_damaged(self):
        self.ok('export', 'docs', self.exported)
        whole = self.exported.read_bytes()
        for size, code in ((0, USAGE), (20, CORRUPT), (len(whole) // 2, CORRUPT),
                           (len(whole) - 1, CORRUPT)):
            self.exported.write_bytes(whole[:size])
            self.fails(code, 'docs.waggle', *self.at(self.exported, 'search', 'docs', '--id', 5))
        flipped = bytearray(whole)
        flipped[4096 + 100] ^= 1
        self.exported.write_bytes(flipped)
        with self.start(*self.at(self.exported, 'verify')) as process:
            process.communicate(timeout=60)
        self.assertIn(process.returncode, (FAILED, CORRUPT))


class Repairing(Store):
    def test_nothing_is_wrong(self):
        self.fill(count=200, dim=8)
        for args in (['--dry-run'], ['--salvage', self.folder / 'saved']):
            report = self.json('repair', *args)
            self.assertEqual((report['points'], report['lost_points'], report['losses']),
                             (200, 0, []))
        self.assertEqual(self.points(self.folder / 'saved'), self.points())
        self.assertIn('200 points', self.ok('repair', '--dry-run'))

    def test_what_is_left_is_saved(self):
        self.fill('docs', count=200, dim=8)
        self.fill('more', count=100)
        intact = self.points()
        self.damage()
        before = self.bytes_of(self.store)
        saved = self.folder / 'saved'
        out, _ = self.run_for(FAILED, 'repair', '--dry-run')
        self.assertIn('docs', out)
        self.assertIn('lost', out)
        self.assertFalse(saved.exists())
        report = json.loads(self.run_for(FAILED, 'repair', '--salvage', saved, '--json')[0])
        self.assertEqual((report['points'], report['lost_points'], report['collections']),
                         (299, 1, 2))
        self.assertEqual(len(report['losses']), report['loss_count'])
        self.assertEqual(self.points(saved), [p for p in intact if p['id'] != 0])
        self.assertEqual(self.count('more'), 100)
        self.assert_clean_at(saved)
        self.assertGreater(self.json(*self.at(saved, 'info', 'docs'))['epoch'], 1)
        changed = {name for name, data in self.bytes_of(self.store).items()
                   if before.get(name) != data and 'lock' not in name.name}
        self.assertEqual(changed, set())

    def test_wrong_usage(self):
        self.fill()
        self.fails(USAGE, 'neither', 'repair')
        self.fails(USAGE, 'both', 'repair', '--dry-run', '--salvage', 'new')
        self.fails(USAGE, 'empty', 'repair', '--salvage', self.folder)
        self.fails(NOT_FOUND, 'absent', *self.at('absent', 'repair', '--dry-run'))
        file = self.folder / 'docs.waggle'
        self.ok('export', 'docs', file)
        self.fails(USAGE, 'docs.waggle: a file, expected the folder of a store',
                   *self.at(file, 'repair', '--dry-run'))

    def test_what_stands_there_stays(self):
        self.fill()
        mine = self.folder / 'mine'
        mine.mkdir()
        self.file('mine/text', b'mine')
        for store, code in ((self.store, USAGE), (self.folder / 'absent', NOT_FOUND)):
            self.fails(code, '', *self.at(store, 'repair', '--salvage', mine))
            self.assertEqual((mine / 'text').read_bytes(), b'mine')


    def test_the_others_beside_a_damaged_one(self):
        self.fill('docs')
        self.fill('more')
        with open(self.store / 'c-1' / 'tables' / 'data.mdb', 'r+b') as file:
            file.write(b'x' * 9000)
        out, err = self.run_for(CORRUPT, 'list')
        self.assertRegex(out, 'docs +damaged')
        self.assertRegex(out, 'more +20 ')
        self.assertIn('c-1', err)
        out, _ = self.run_for(CORRUPT, 'list', '--json')
        listed = json.loads(out)['collections']
        self.assertEqual([(c['name'], c.get('count'), c.get('damaged')) for c in listed],
                         [('docs', None, True), ('more', 20, None)])
        self.ok('search', 'more', '--id', 1)
        self.fails(CORRUPT, 'c-1', 'search', 'docs', '--id', 1)


class Changes(Store):
    def test_the_list(self):
        self.ok('create', 'docs', '--dim', 4, '--metric', 'dot')
        self.assertIn('no changes', self.ok('changes', 'docs'))
        self.assertEqual(self.lines('changes', 'docs'), [])
        self.put(0, 10)
        self.put(5, 3, vector=[4, 3, 2, 1])
        self.ok('delete', 'docs', 1, 2, 999)
        changes = self.lines('changes', 'docs')
        self.assertEqual([(c['sequence'], c['kind'], c['count'], c['epoch']) for c in changes],
                         [(1, 'upsert', 10, 1), (2, 'upsert', 3, 1), (3, 'delete', 2, 1)])
        self.assertEqual(changes[1]['points'],
                         [{'id': 5 + i, 'payload': {'n': i}} for i in range(3)])
        self.assertEqual(changes[2]['points'], [{'id': 1}, {'id': 2}])
        info = self.json('info', 'docs')
        self.assertEqual((changes[-1]['sequence'], changes[-1]['chain_hash']),
                         (info['sequence'], info['chain_hash']))
        self.assertEqual(self.lines('changes', 'docs', '--since', 1), changes[1:])
        self.assertEqual(self.lines('changes', 'docs', '--limit', 1), changes[:1])
        self.assertEqual(self.lines('changes', 'docs', '--since', 3), [])
        vectors = self.lines('changes', 'docs', '--since', 1, '--with-vector')[0]['points']
        self.assertEqual([p['vector'] for p in vectors],
                         [[4, 3, 2, 1], [5, 4, 3, 2], [6, 5, 4, 3]])
        lines = self.ok('changes', 'docs').splitlines()
        self.assertEqual(len(lines), 4)
        self.assertIn(info['chain_hash'], lines[-1])

    def test_many(self):
        self.ok('create', 'docs', '--dim', 4)
        self.ok('import', 'docs', self.file('r.npy', npy(rows_of(100, 4))), '--batch', 1)
        sequences = [c['sequence'] for c in self.lines('changes', 'docs')]
        self.assertEqual(sequences, list(range(1, 101)))
        self.assertEqual(len(self.lines('changes', 'docs', '--limit', 40)), 40)
        self.assertEqual(len(self.ok('changes', 'docs').splitlines()), 101)

    def test_codes_are_switched_off(self):
        self.assertTrue(self.json('create', 'docs', '--dim', 4)['codes'])
        self.assertTrue(self.json('info', 'docs')['codes'])
        self.assertFalse(self.json('create', 'bare', '--dim', 4, '--codes', 'off')['codes'])
        self.assertFalse(self.json('info', 'bare')['codes'])
        self.assertRegex(self.ok('info', 'bare'), 'codes +off')
        self.fails(USAGE, 'expected on or off', 'create', 'odd', '--dim', 4, '--codes', 'no')

    def test_what_is_no_longer_kept(self):
        self.assertEqual(self.json('create', 'docs', '--dim', 4, '--history', 10)['history'], 10)
        self.ok('import', 'docs', self.file('r.npy', npy(rows_of(100, 4))), '--batch', 2)
        info = self.json('info', 'docs')
        self.assertGreater(info['horizon'], 0)
        kept = self.lines('changes', 'docs')
        self.assertEqual(kept[0]['sequence'], info['horizon'] + 1)
        self.assertEqual(kept[-1]['sequence'], 50)
        self.fails(FAILED, 'snapshot', 'changes', 'docs', '--since', 0)
        self.fails(USAGE, '50', 'changes', 'docs', '--since', 51)
        self.fails(NOT_FOUND, 'absent', 'changes', 'absent')
        for args in (['--limit', 0], ['--since', 'x'], ['--since', -1]):
            self.fails(USAGE, args[0], 'changes', 'docs', *args)


class Following(Store):
    def setUp(self):
        super().setUp()
        self.mirror = self.folder / 'mirror'
        self.ok('create', 'docs', '--dim', 4, '--metric', 'dot')

    def follow(self):
        return self.json('changes', 'docs', '--apply-to', self.mirror)

    def test_from_the_first_write(self):
        self.ok(*self.at(self.mirror, 'create', 'docs', '--dim', 4, '--metric', 'dot'))
        self.assertEqual((self.follow()['applied'], self.follow()['sequence']), (0, 0))
        self.put(0, 10)
        self.ok('import', 'docs', self.file('r.npy', npy(rows_of(100, 4))), '--batch', 3)
        self.ok('delete', 'docs', 1, 2)
        info = self.json('info', 'docs')
        told = self.follow()
        self.assertEqual((told['applied'], told['sequence'], told['chain_hash']),
                         (36, info['sequence'], info['chain_hash']))
        self.assert_equal(self.store, self.mirror)
        self.assertIn('applied 0 changes', self.ok('changes', 'docs', '--apply-to', self.mirror))

    def test_from_a_snapshot(self):
        self.put(0, 10)
        self.ok('snapshot', self.mirror)
        self.put(10, 10)
        self.ok('delete', 'docs', 3)
        self.assertEqual(self.follow()['applied'], 2)
        self.assert_equal(self.store, self.mirror)
        self.assert_clean_at(self.mirror)

    def test_while_it_is_written(self):
        self.ok('drop', 'docs')
        process = self.feed_import('docs', 500)
        self.ok(*self.at(self.mirror, 'create', 'docs', '--dim', 2))
        told = self.follow()
        self.assertEqual(told['sequence'], told['applied'])
        process.stdin.close()
        self.assertEqual(process.wait(timeout=60), 0)
        self.assertEqual(self.follow()['sequence'], 10)
        self.assert_equal(self.store, self.mirror)

    def test_another_history(self):
        self.put(0, 10)
        self.ok('snapshot', self.mirror)
        self.put(10, 1)
        self.put(20, 1, store=self.mirror)  # as many writes, but others
        self.fails(FAILED, 'history', 'changes', 'docs', '--apply-to', self.mirror)
        self.put(30, 1)
        before = self.points(self.mirror)
        self.fails(FAILED, 'waggle restore', 'changes', 'docs', '--apply-to', self.mirror)
        self.put(30, 2, store=self.mirror)
        self.put(30, 3, store=self.mirror)
        self.fails(FAILED, 'sequence 4', 'changes', 'docs', '--apply-to', self.mirror)
        self.assertEqual(self.points(self.mirror)[:len(before)], before)
        self.assert_clean_at(self.mirror)

    def test_behind_the_horizon(self):
        self.ok('create', 'short', '--dim', 4, '--history', 5)
        self.ok('snapshot', self.mirror)
        self.ok('import', 'short', self.file('r.npy', npy(rows_of(100, 4))), '--batch', 2)
        self.fails(FAILED, 'waggle restore', 'changes', 'short', '--apply-to', self.mirror)
        self.assertEqual(self.json(*self.at(self.mirror, 'info', 'short'))['sequence'], 0)

    def test_wrong_usage(self):
        self.put(0, 10)
        self.fails(NOT_FOUND, 'snapshot', 'changes', 'docs', '--apply-to', self.mirror)
        self.ok(*self.at(self.mirror, 'create', 'other', '--dim', 4))
        self.fails(NOT_FOUND, 'docs', 'changes', 'docs', '--apply-to', self.mirror)
        self.fails(BUSY, '', 'changes', 'docs', '--apply-to', self.store)
        for number, make in enumerate((['--dim', 5, '--metric', 'dot'], ['--dim', 4])):
            unlike = self.folder / f'unlike {number}'
            self.ok(*self.at(unlike, 'create', 'docs', *make))
            self.fails(USAGE, 'dimensions', 'changes', 'docs', '--apply-to', unlike)
        for args in (['--since', 1], ['--limit', 1], ['--with-vector']):
            self.fails(USAGE, '--apply-to', 'changes', 'docs', '--apply-to', self.mirror, *args)


class Writing(Store):
    def test_durability(self):
        path = self.file('r.npy', npy(rows_of(3000, 8)))
        for number, when in enumerate(['always', 'interval:1', 'interval:20', 'interval:60000']):
            name = f'docs {number}'
            told = self.json('import', name, path, '--create', '--batch', 10, '--durability', when)
            self.assertEqual((told['imported'], told['count']), (3000, 3000))
            self.assertEqual(self.count(name), 3000)
        for when in ('', 'sometimes', 'interval', 'interval:', 'interval:0', 'interval:-1',
                     'interval:1s', 'interval:4294967296'):
            self.fails(USAGE, 'durability', 'import', 'docs', path, '--create',
                       f'--durability={when}')
        self.assert_clean()

    def assert_prefix(self):
        count = self.count()
        self.assertEqual([p['id'] for p in self.lines('scroll', 'docs')], list(range(count)))
        self.assert_clean()
        return count

    def test_what_is_said_after_ctrl_c_is_true(self):
        for when in ('interval:1', 'interval:60000'):
            process = self.feed_import('docs', 500, '--durability', when)
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(timeout=20), INTERRUPTED)
            err = process.stderr.read()
            count = self.assert_prefix()
            self.assertEqual((count % 50, count > 0), (0, True))
            self.assertIn(f'{count} point', err.decode())
            self.ok('drop', 'docs')

    def test_killed(self):
        for wait in (0, 0.2):
            process = self.feed_import('docs', 500, '--durability', 'interval:20')
            time.sleep(wait)
            process.kill()
            process.communicate(timeout=20)
            count = self.assert_prefix()
            self.assertEqual((count % 50, count > 0), (0, count > 0 or wait > 0))
            self.ok('drop', 'docs')

    def test_a_wrong_row_behind_queued_ones(self):
        rows = rows_of(100, 8)
        rows[77][3] = float('nan')
        self.fails(USAGE, '77', 'import', 'docs', self.file('nan.npy', npy(rows)), '--create',
                   '--batch', 10, '--durability', 'interval:1000')
        self.assertEqual(self.assert_prefix(), 70)

    def test_delete_if_version(self):
        self.fill(count=5)
        self.put(3, 1)
        version = self.lines('get', 'docs', 3)[0]['version']
        self.assertEqual(version, 2)
        self.fails(FAILED, '3', 'delete', 'docs', 3, '--if-version', 1)
        self.fails(FAILED, '', 'delete', 'docs', 1, 3, '--if-version', 1)
        self.fails(FAILED, '', 'delete', 'docs', 99, '--if-version', 1)
        self.fails(USAGE, 'if-version', 'delete', 'docs', 3, '--if-version', 0)
        self.assertEqual(self.count(), 5)
        self.assertEqual(self.json('delete', 'docs', 3, '--if-version', 2)['deleted'], 1)
        self.assertEqual(self.json('delete', 'docs', 0, 1, '--if-version', 1)['deleted'], 2)
        self.assertEqual(self.count(), 2)

    def test_info(self):
        self.fill(count=50)
        self.put(0, 10)
        info = self.json('info', 'docs')
        self.assertEqual((info['count'], info['row_count'], info['dead_row_count']), (50, 60, 10))
        self.assertEqual((info['epoch'], info['sequence'], info['horizon']), (1, 2, 0))
        text = self.ok('info', 'docs')
        for word in ('epoch', 'sequence', 'history', 'kept behind sequence 0', '10 of them dead',
                     info['chain_hash']):
            self.assertIn(word, text)


if __name__ == '__main__':
    sys.exit(not unittest.main(exit=False).result.wasSuccessful())
