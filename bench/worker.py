"""A process that measures what it is told to: each line of standard input is a command and its
words, the answer is a line of JSON. Libraries under comparison need processes of their own, because
what they read from the environment holds for a process; and a process is what can be pinned."""
import json
import os
import sys
import time


def waited_seconds():
    """How long the threads of this process have waited for a core (0 where Linux does not say)."""
    total = 0
    try:
        for thread in os.listdir('/proc/self/task'):
            with open(f'/proc/self/task/{thread}/schedstat', encoding='ascii') as file:
                total += int(file.read().split()[1])
    except (OSError, IndexError):
        return 0
    return total * 1e-9


def timed(work, repeat):
    waited, start = waited_seconds(), time.perf_counter()
    for _ in range(repeat):
        work()
    seconds = time.perf_counter() - start
    return {'seconds': seconds, 'waited': waited_seconds() - waited}


def in_batches(search, addresses):
    """What one repetition is: every query once, a batch after the other."""
    def work():
        for address in addresses:
            search(address)
    return work


def serve(commands):
    """commands: name to function. A command that fails ends the process, with its traceback."""
    for line in sys.stdin:
        name, *words = line.split()
        print(json.dumps(commands[name](*words)), flush=True)
