"""`waggle bench`, its three benchmarks small: figures that hang together, CSV, plots, and what is
refused. How fast anything is, is no test's matter."""
import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
import unittest
import xml.etree.ElementTree

from support.cli import INTERRUPTED, NO_SPACE, NOT_FOUND, USAGE, CommandLine

SMALL = {'exact': ['-n', 500, '-d', 9, '-r', 3], 'bandwidth': ['-n', 3000, '-d', 64, '-r', 2],
         'break-even': ['-n', 5000, '-d', 16, '-r', 2, '-b', 4]}


class Bench(CommandLine):
    def bench(self, name, *args):
        return self.json('bench', name, *SMALL[name], *args)

    def test_exact(self):
        document = self.bench('exact', '--tiers')
        self.assertEqual(self.json('bench', *SMALL['exact'])['n'], 500)  # the default
        results = document['results']
        tiers = list(dict.fromkeys(r['tier'] for r in results))
        self.assertEqual((tiers[0], len(results)), ('c', 6 * len(tiers)))
        hashes = {}
        for result in results:
            self.assertEqual(result['recall'], 1)
            values = [result[f'{name}_us'] for name in 'min lower median upper max'.split()]
            self.assertEqual(values, sorted(values))
            spread = (result['upper_us'] - result['lower_us']) / result['median_us']
            self.assertAlmostEqual(result['spread'], spread, 1)
            self.assertEqual(result['scan_gbps'] is None, result['batch'] > 1)
            hashes.setdefault((result['metric'], result['batch']), set()).add(result['hash'])
        self.assertTrue(all(len(found) == 1 for found in hashes.values()), hashes)
        self.assertEqual(len(set.union(*hashes.values())), len(hashes))
        one = self.bench('exact', '--cpu', 'c', '-m', 'manhattan', '-b', 7)
        self.assertEqual([(r['tier'], r['metric'], r['batch']) for r in one['results']],
                         [('c', 'manhattan', 7)])
        other = self.bench('exact', '-m', 'manhattan', '-b', 7, '--threads', 1)
        self.assertEqual(other['results'][0]['hash'], one['results'][0]['hash'])
        other = self.bench('exact', '-m', 'manhattan', '-b', 7, '--seed', 2)
        self.assertNotEqual(other['results'][0]['hash'], one['results'][0]['hash'])
        few = self.json('bench', '-n', 3, '-k', 10, '-d', 2, '-r', 1)
        self.assertEqual({r['recall'] for r in few['results']}, {1})

    def test_bandwidth(self):
        document = self.bench('bandwidth', '--threads', 2)
        lines = {(r['what'], r['pages'], r['threads'], r['bytes']): r
                 for r in document['results']}
        self.assertEqual({what for what, *_ in lines}, {'reading', 'rows', 'codes'})
        self.assertEqual({threads for _, _, threads, _ in lines}, {1, 2})
        self.assertEqual(document['large_pages'], any(key[1] == 'large' for key in lines
                                                      if key[0] != 'codes'))
        for (what, pages, threads, size), line in lines.items():
            self.assertAlmostEqual(line['gbps'], size / line['median_us'] / 1e3, delta=1)
            if what == 'rows':
                read = lines['reading', pages, threads, size]
                self.assertAlmostEqual(line['of_reading'], read['median_us'] / line['median_us'],
                                       delta=0.1 + 0.1 * line['of_reading'])
        manhattan = self.bench('bandwidth', '--threads', 1, '-m', 'manhattan')['results']
        self.assertEqual({r['what'] for r in manhattan}, {'reading', 'rows'})
        self.fails(USAGE, 'cosine', 'bench', 'bandwidth', '-m', 'cosine')
        self.fails(USAGE, '--batch', 'bench', 'bandwidth', '-b', 3)

    def test_break_even(self):
        document = self.bench('break-even', '--threads', 2)
        self.assertEqual([r['name'] for r in document['results']], ['threads', 'batch', 'codes'])
        self.assertTrue(any('device' in note for note in document['notes']))
        for duel in document['results']:
            points = [point['x'] for point in duel['points']]
            self.assertEqual(points, sorted(set(points)))
            self.assertEqual(points[-1], 4 if duel['name'] == 'batch' else 5000)
            last = duel['points'][-1]
            faster = last['second_us'] < last['first_us']
            self.assertEqual(duel['measured'] is not None, faster, duel)
            if duel['measured'] is not None:
                later = [p for p in duel['points'] if p['x'] > duel['measured']]
                self.assertTrue(all(p['second_us'] <= p['first_us'] for p in later), duel)
        alone = self.bench('break-even', '--threads', 1, '-m', 'chebyshev')
        self.assertEqual([r['name'] for r in alone['results']], ['batch'])
        self.assertEqual(len(alone['notes']), 3)
        self.fails(USAGE, 'at least', 'bench', 'break-even', '-n', 10)
        self.fails(USAGE, 'batch', 'bench', 'break-even', '-b', 1)

    def test_csv_and_tables(self):
        for name, flags in SMALL.items():
            table = self.ok('bench', name, *flags, '--csv')
            rows = list(csv.reader(io.StringIO(table)))
            self.assertGreater(len(rows), 3)
            self.assertEqual({len(row) for row in rows}, {len(rows[0])}, table)
            self.assertIn('kernels', self.ok('bench', name, *flags))
            self.fails(USAGE, '--csv', 'bench', name, '--csv', '--json')

    def test_plots(self):
        for name, flags in SMALL.items():
            path = self.folder / f'{name}.svg'
            document = self.json('bench', name, *flags, '--svg', path)
            root = xml.etree.ElementTree.parse(path).getroot()
            dots = list(root.iter('{http://www.w3.org/2000/svg}circle'))
            count = len(document['results'])
            if name == 'break-even':
                count = sum(2 * len(duel['points']) for duel in document['results'])
            self.assertEqual(len(dots), count, name)
            for dot in dots:
                self.assertTrue(84 <= float(dot.get('cx')) <= 620.1, dot.attrib)
                self.assertTrue(43.9 <= float(dot.get('cy')) <= 340.1, dot.attrib)

    def test_plots_that_cannot_be_written(self):
        start = time.monotonic()
        absent = self.folder / 'no' / 'a.svg'
        self.fails(NOT_FOUND, str(absent), 'bench', '-n', 1000000, '-d', 512, '--svg', absent)
        self.assertLess(time.monotonic() - start, 30)  # before anything is measured
        self.fails(1, str(self.folder), 'bench', '--svg', self.folder)
        if os.path.exists('/dev/full'):
            for name, flags in SMALL.items():
                _, err = self.run_for(NO_SPACE, 'bench', name, *flags, '--svg', '/dev/full')
                self.assertIn('/dev/full', err)
                with open('/dev/full', 'wb') as full:
                    with self.start('bench', name, *flags, stdout=full) as process:
                        process.communicate(timeout=60)
                self.assertEqual(process.returncode, NO_SPACE)

    def test_wrong_names_and_flags(self):
        self.fails(USAGE, 'bandwidth', 'bench', 'bandwith')
        self.fails(USAGE, 'break-even', 'bench', 'nonsense')
        self.fails(USAGE, '--cpu', 'bench', '--tiers', '--cpu', 'c')
        self.fails(USAGE, '--tiers', 'bench', 'bandwidth', '--tiers')
        self.fails(USAGE, '--tiers', 'bench', 'break-even', '--tiers')
        self.fails(USAGE, 'sse9', 'bench', '--cpu', 'sse9')
        self.fails(USAGE, 'l3', 'bench', '-m', 'l3')
        for flag in ('-n', '-d', '-k', '-r', '-b'):
            self.fails(USAGE, '', 'bench', flag, 0)
        self.fails(1, 'memory', 'bench', '-n', 2**32 - 1, '-d', 65536)

    def test_ctrl_c(self):
        for name in SMALL:
            for wait in (0.1, 1):
                process = self.start('bench', name, '-n', 60000, '-r', 100000, '-d', 64)
                self.addCleanup(self.end, process)
                time.sleep(wait)
                process.send_signal(signal.SIGINT)
                try:
                    self.assertEqual(process.wait(timeout=60), INTERRUPTED, process.stderr.read())
                except subprocess.TimeoutExpired:
                    self.fail(f'bench {name} goes on after Ctrl-C')
                self.assertEqual(process.stdout.read(), b'')


if __name__ == '__main__':
    sys.exit(not unittest.main(exit=False).result.wasSuccessful())
