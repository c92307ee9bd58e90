"""The peers, in a Python environment of their own."""
import json
import pathlib
import subprocess
import sys

REQUIREMENTS = pathlib.Path(__file__).with_name('requirements.txt')
CAN_LOAD = 'import sqlite3, sys; sys.exit(not hasattr(sqlite3.Connection, "enable_load_extension"))'
NOT_INSTALLED = """
import importlib.metadata, json, sys
def version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
print(json.dumps([n for n, v in json.loads(sys.argv[1]).items() if version(n) != v]))
"""
SYSTEM_PYTHON = pathlib.Path('/usr/bin/python3')


class NotHere(Exception):
    """What keeps a figure from being measured here."""


def wanted():
    """Package to version."""
    return dict(line.split('==') for line in REQUIREMENTS.read_text().split())


def last_line(text):
    return text.strip().splitlines()[-1] if text.strip() else 'no message'


def succeeds(command):
    return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 0


def loads_extensions(python):
    """Whether its sqlite3 does: sqlite-vec is one."""
    return succeeds([python, '-c', CAN_LOAD])


def base_pythons():
    """What to make the environment from, the best first: this Python, unless only the system's can
    load extensions."""
    there = [str(python) for python in (sys.executable, SYSTEM_PYTHON)
             if pathlib.Path(python).exists()]
    return sorted(there, key=lambda python: not loads_extensions(python))


def make_environment(folder):
    """Its Python; what is there is kept, unless sqlite3 could load extensions in another one."""
    python, bases = folder / 'bin/python', base_pythons()
    if python.exists() and succeeds([python, '-c', '']):
        if loads_extensions(python) or not loads_extensions(bases[0]):
            return python
    print(f'setting up the peers in {folder}', flush=True)
    for base in bases:
        done = subprocess.run([base, '-m', 'venv', '--clear', folder], capture_output=True,
                              text=True, check=False)
        if done.returncode == 0:
            return python
    raise NotHere('no environment for the peers (Debian and Ubuntu: apt install python3-venv): '
                  + last_line(done.stdout + done.stderr))


def not_installed(python):
    done = subprocess.run([python, '-c', NOT_INSTALLED, json.dumps(wanted())], check=True,
                          capture_output=True, text=True)
    return json.loads(done.stdout)


def pip_install(python, packages):
    """None, or why not."""
    versions = wanted()
    done = subprocess.run([python, '-m', 'pip', 'install', '--quiet',
                           *(f'{name}=={versions[name]}' for name in packages)],
                          capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else 'pip could not install it: ' + last_line(done.stderr)


def install(folder):
    """The environment's Python, and for each package that is not there, why. Raises NotHere."""
    python, missing = make_environment(folder), {}
    packages = not_installed(python)
    if packages and pip_install(python, packages):
        failures = {name: pip_install(python, [name]) for name in packages}
        missing = {name: why for name, why in failures.items() if why}
    if not loads_extensions(python):
        missing['sqlite-vec'] = 'the sqlite3 of no Python here loads extensions'
    return python, missing
