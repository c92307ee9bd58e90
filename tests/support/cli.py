"""What the tests of the command line share: a folder of their own, the binary that WAGGLE names run
in it, its exit codes, and files to import."""
import json
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile
import unittest

WAGGLE = os.environ.get('WAGGLE', 'waggle')
USAGE, NOT_FOUND, BUSY, CORRUPT, NO_SPACE, INTERRUPTED = 2, 3, 4, 5, 6, 130


def rows_of(count, dim):
    """Small whole numbers, so that every format and every metric keeps them exactly."""
    return [[(7 * r + 3 * i) % 11 - 5 for i in range(dim)] for r in range(count)]


def npy(rows, code='f', descr='<f4', order=False, version=1):
    shape = f'({len(rows)}, {len(rows[0]) if rows else 3})'
    header = f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}".encode()
    header += b' ' * (63 - (len(header) + 10) % 64) + b'\n'
    size = struct.pack('<H' if version == 1 else '<I', len(header))
    values = [x for row in (zip(*rows) if order else rows) for x in row]
    return (b'\x93NUMPY' + bytes([version, 0]) + size + header
            + struct.pack(f'<{len(values)}{code}', *values))


def fvecs(rows):
    return b''.join(struct.pack(f'<i{len(r)}f', len(r), *r) for r in rows)


def idx(rows, sides=None):
    sides = sides or [len(rows[0])]
    head = struct.pack(f'>HBB{1 + len(sides)}i', 0, 8, 1 + len(sides), len(rows), *sides)
    return head + bytes(x % 256 for row in rows for x in row)


def jsonl(points):
    return ''.join(json.dumps(p) + '\n' for p in points).encode()


class CommandLine(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix='waggle-cli-'))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.store = self.folder / 'store'

    def start(self, *args, **kwargs):
        args = [WAGGLE, *map(str, args)]
        if '--store' not in args and args[1] not in ('devices', 'version', 'help', 'bench'):
            args[2:2] = ['--store', str(self.store)]
        return subprocess.Popen(args, stdin=kwargs.pop('stdin', subprocess.DEVNULL),
                                stdout=kwargs.pop('stdout', subprocess.PIPE),
                                stderr=subprocess.PIPE, cwd=self.folder, **kwargs)

    def feed_import(self, name, count, *args):
        """An import from a pipe that stays open: it waits for more when it has these points."""
        self.ok('create', name, '--dim', 2)
        process = self.start('import', name, '-', '--format', 'jsonl', '--batch', 50, *args,
                             stdin=subprocess.PIPE)
        self.addCleanup(self.end, process)
        long = {'text': 'x' * 2000}  # more than any buffer holds: some of it is written
        process.stdin.write(jsonl({'id': i, 'vector': [i, 1], 'payload': long}
                                  for i in range(count)))
        process.stdin.flush()
        return process

    def end(self, process):
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                stream.close()

    def run_for(self, code, *args, data=None):
        """Runs it, expects this exit code, returns standard output and standard error."""
        with self.start(*args, stdin=subprocess.PIPE) as process:
            out, err = process.communicate(data, timeout=120)
        out, err = out.decode(), err.decode()
        self.assertEqual(process.returncode, code, f'{args}\nstdout: {out}\nstderr: {err}')
        if code in (0, INTERRUPTED):
            return out, err
        told = args[0] in ('verify', 'repair')  # on standard output
        self.assertTrue(err.strip() or told, f'{args} fails without a word')
        self.assertNotIn('Assertion', err)
        return out, err

    def ok(self, *args, data=None):
        return self.run_for(0, *args, data=data)[0]

    def json(self, *args, data=None):
        return json.loads(self.ok(*args, '--json', data=data))

    def lines(self, *args, data=None):
        return [json.loads(line) for line in self.ok(*args, '--json', data=data).splitlines()]

    def fails(self, code, needle, *args, data=None):
        """Fails in words, that hold needle, and as JSON too; nothing on standard output."""
        out, err = self.run_for(code, *args, data=data)
        self.assertIn(needle.lower(), err.lower())
        self.assertEqual(out, '')
        out, err = self.run_for(code, *args, '--json', data=data)
        self.assertEqual(out, '')
        error = json.loads(err)['error']
        self.assertTrue(error['code'].startswith('WG_E'))
        self.assertIn(needle.lower(), json.dumps(error, ensure_ascii=False).lower())

    def file(self, name, data):
        path = self.folder / name
        path.write_bytes(data)
        return path

    def fill(self, name='docs', count=20, dim=4, metric='dot'):
        self.ok('import', name, self.file('fill.npy', npy(rows_of(count, dim))), '--create',
                '--metric', metric)

    def count(self, name='docs'):
        return self.json('info', name)['count']

    def assert_clean(self):
        verdict = self.json('verify')
        self.assertTrue(verdict['ok'])
        self.assertEqual(verdict['problem_count'], 0)
