"""Interleaved measurements: contenders take turns, so that what disturbs the machine disturbs all
of them. A run whose threads had to wait for a core is thrown away and made again, a few times; what
a single thread waited is no part of its time."""
import dataclasses
import json
import math
import os
import statistics
import subprocess
import time

WAITED_SHARE_MAX = 0.02  # of a run's seconds; 2 % is what a quiet machine stays below
TRIES_MAX = 4


class Worker:
    """A process that answers a line of words with a line of JSON, pinned to cpus."""

    def __init__(self, command, cpus, environment=None):
        self.command = [str(word) for word in command]
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, **(environment or {})},
            preexec_fn=lambda: os.sched_setaffinity(0, cpus))

    def tell(self, *words):
        self.process.stdin.write(' '.join(str(word) for word in words) + '\n')
        self.process.stdin.flush()

    def ask(self, *words):
        self.tell(*words)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f'{" ".join(self.command)} ended with {self.process.wait()} when '
                               f'asked {words}')
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@dataclasses.dataclass
class Series:
    """What one contender's runs took, per repetition. repeated: runs thrown away because they were
    disturbed; crowded: disturbed runs that were kept, because every try of the round was."""
    seconds: list = dataclasses.field(default_factory=list)
    repeated: int = 0
    crowded: int = 0

    def add(self, seconds, result, thrown_away):
        """What undisturbed gave."""
        self.seconds.append(seconds)
        self.repeated += thrown_away
        self.crowded += waited_share(result) > WAITED_SHARE_MAX

    @property
    def is_crowded(self):
        return self.crowded > len(self.seconds) / 2

    @property
    def median(self):
        return statistics.median(self.seconds)

    @property
    def spread(self):
        """Between the quartiles, as a share of the median."""
        if len(self.seconds) < 3:
            return 0.0
        low, _, high = statistics.quantiles(self.seconds, n=4, method='inclusive')
        return (high - low) / self.median


@dataclasses.dataclass
class Effort:
    rounds: int
    slice_seconds: float  # of one run, about

    def repeats(self, run):
        """How often to repeat, in a run of that length; also warms up. Once, and without, where the
        length is 0: such runs begin anew."""
        if self.slice_seconds == 0:
            return 1
        run(1)
        once = run(1)['seconds']
        return max(1, math.ceil(self.slice_seconds / once))


def waited_share(result):
    return result['waited'] / result['seconds']


def undisturbed(run):
    """The first undisturbed result of a few tries, else the one that waited least; and how many
    tries were thrown away."""
    tries = [run()]
    while waited_share(tries[-1]) > WAITED_SHARE_MAX and len(tries) < TRIES_MAX:
        tries.append(run())
    return min(tries, key=waited_share), len(tries) - 1


def one_run(run, repeat, series, single_thread):
    result, thrown_away = undisturbed(lambda: run(repeat))
    seconds = result['seconds'] - (result['waited'] if single_thread else 0)
    series.add(seconds / repeat, result, thrown_away)


def interleave(contenders, effort, single_thread=False, rare=()):
    """contenders: name to run(repeat) -> {"seconds", "waited"}. A Series for each name.
    single_thread: that is what each of them works with. rare: names that take every other turn
    only."""
    repeats = {name: effort.repeats(run) for name, run in contenders.items()}
    series = {name: Series() for name in contenders}
    for turn in range(effort.rounds):
        order = [name for name in contenders if turn % 2 == 0 or name not in rare]
        for name in order if turn % 2 == 0 else reversed(order):
            one_run(contenders[name], repeats[name], series[name], single_thread)
    return series


def command_run(command, cpus, **options):
    """A whole process as a run: from its start to its end."""
    def run(_repeat):
        start = time.perf_counter()
        done = subprocess.run([str(word) for word in command], stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True, check=False,
                              preexec_fn=lambda: os.sched_setaffinity(0, cpus), **options)
        seconds = time.perf_counter() - start
        if done.returncode != 0:
            raise RuntimeError(f'{command[0]} failed: {done.stderr.strip()}')
        return {'seconds': seconds, 'waited': 0}
    return run
