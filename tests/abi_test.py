#!/usr/bin/env python3
"""The symbols of libwaggle.so are those of tests/exports.txt, and those are the headers' WG_API.

abi_test.py --write  makes exports.txt from the headers; a line that goes breaks programs.
"""
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
EXPORTS = ROOT / 'tests/exports.txt'


def declared():
    for header in sorted((ROOT / 'include/waggle').glob('*.h')):
        code = re.sub(r'/\*.*?\*/', '', header.read_text(), flags=re.S)
        for statement in re.findall(r'^WG_API\b[^;]*;', code, flags=re.M):
            yield re.search(r'\b(wg_\w+)\s*\(', statement)[1]


def exported(library):
    listing = subprocess.run(['nm', '-D', '--defined-only', '--format=posix', library],
                             capture_output=True, text=True, check=True).stdout
    return {line.split()[0] for line in listing.splitlines()}


def soname(library):
    dump = subprocess.run(['objdump', '-p', library], capture_output=True, text=True, check=True)
    return re.search(r'SONAME\s+(\S+)', dump.stdout)[1]


def differences(what, got, expected):
    yield from (f'{name}: in {what}, not in tests/exports.txt' for name in sorted(got - expected))
    yield from (f'{name}: in tests/exports.txt, not in {what}' for name in sorted(expected - got))


def main():
    if sys.argv[1:] == ['--write']:
        EXPORTS.write_text('\n'.join(sorted(declared())) + '\n')
        return
    if os.environ['WAGGLE_INSTRUMENTED']:
        print('skipped: instrumented code exports symbols of its own')
        sys.exit(77)

    library, lines = os.environ['WAGGLE_LIB'], EXPORTS.read_text().splitlines()
    wrong = [] if lines == sorted(set(lines)) else ['tests/exports.txt: not sorted']
    wrong += differences('the headers', set(declared()), set(lines))
    wrong += differences(os.path.basename(library), exported(library), set(lines))
    if soname(library) != 'libwaggle.so.0':
        wrong.append(f'soname {soname(library)}, expected libwaggle.so.0')
    print(*wrong, sep='\n')
    print(f'{len(lines)} symbols, {len(wrong)} problems')
    sys.exit(bool(wrong))


main()
