#!/usr/bin/env python3
"""accept.py measures every figure that needs no peers, on little data: so it does not rot. Speeds
are not judged here; results are."""
import os
import pathlib
import subprocess
import sys
import tempfile

if os.environ['WAGGLE_INSTRUMENTED']:
    print('skipped: Python cannot load an instrumented library')
    sys.exit(77)

accept = pathlib.Path(__file__).with_name('accept.py')
with tempfile.TemporaryDirectory() as folder:
    done = subprocess.run([sys.executable, accept, '--quick', '--no-peers', '--dir', folder,
                           '--build', os.environ['WAGGLE_BUILD']], check=False)
    left = os.listdir(folder)
if left:
    print(f'left behind: {left}')
sys.exit(bool(done.returncode or left))
