"""The peers, in a Python environment of their own."""
import pathlib
import subprocess
import sys

REQUIREMENTS = pathlib.Path(__file__).with_name('requirements.txt')


class NotHere(Exception):
    """What keeps a figure from being measured here."""


def last_line(text):
    return text.strip().splitlines()[-1] if text.strip() else 'no message'


def are_installed(python):
    wanted = dict(line.split('==') for line in REQUIREMENTS.read_text().split())
    check = ('import importlib.metadata as m, sys; '
             f'sys.exit(any(m.version(n) != v for n, v in {wanted!r}.items()))')
    return python.exists() and subprocess.run([python, '-c', check], check=False,
                                              stderr=subprocess.DEVNULL).returncode == 0


def install(folder):
    """Returns the environment's Python. Raises NotHere."""
    python = folder / 'bin/python'
    if are_installed(python):
        return python
    print(f'setting up the peers in {folder}', flush=True)
    done = subprocess.run([sys.executable, '-m', 'venv', folder], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        raise NotHere('no environment for the peers (Debian and Ubuntu: apt install python3-venv): '
                      + last_line(done.stdout + done.stderr))
    done = subprocess.run([python, '-m', 'pip', 'install', '--quiet', '-r', REQUIREMENTS],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NotHere('pip could not install the peers: ' + last_line(done.stderr))
    return python
