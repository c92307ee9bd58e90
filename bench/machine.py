"""What this is measured on."""
import os
import platform
import re
import subprocess

FLAGS = ['avx2', 'fma', 'avx512f', 'avx512bw', 'avx512_vnni', 'avx512_bf16',
         'avx_vnni', 'amx_bf16', 'amx_int8', 'asimd']


def lscpu(*options):
    done = subprocess.run(['lscpu', *options], capture_output=True, text=True, check=False,
                          env={**os.environ, 'LC_ALL': 'C'})
    return done.stdout


def fields():
    return {key.strip(): value.strip() for key, _, value in
            (line.partition(':') for line in lscpu().splitlines())}


def physical_cores():
    """One processor of each physical core that this process may use, in rising order."""
    allowed, cores = os.sched_getaffinity(0), {}
    for line in lscpu('-p=CPU,CORE,SOCKET').splitlines():
        if line.startswith('#'):
            continue
        cpu, *place = (int(number) for number in line.split(','))
        if cpu in allowed:
            cores.setdefault(tuple(place), cpu)
    return sorted(cores.values()) or sorted(allowed)


def has_flag(flag):
    return flag in fields().get('Flags', '').split()


def stolen_seconds():
    """Taken by other guests of the host, over all processors since the start."""
    with open('/proc/stat', encoding='ascii') as file:
        return int(file.readline().split()[8]) / os.sysconf('SC_CLK_TCK')


def system_name():
    try:
        with open('/etc/os-release', encoding='utf-8') as file:
            return re.search(r'^PRETTY_NAME="?([^"\n]*)', file.read(), re.M)[1]
    except (OSError, TypeError):
        return platform.system()


def memory_bytes(kind):
    """kind: "MemTotal", or "MemAvailable" without swapping; 0 where unknown."""
    try:
        with open('/proc/meminfo', encoding='ascii') as file:
            return int(re.search(rf'^{kind}: *(\d+) kB', file.read(), re.M)[1]) * 1024
    except (OSError, TypeError):
        return 0


def memory_text(kind='MemTotal'):
    size = memory_bytes(kind)
    return f'{size / 2**30:.0f} GiB' if size else 'unknown'


def huge_pages():
    try:
        with open('/sys/kernel/mm/transparent_hugepage/enabled', encoding='ascii') as file:
            return re.search(r'\[(\w+)\]', file.read())[1]
    except (OSError, TypeError):
        return 'unknown'


def about():
    """(what, value) for the report."""
    known = fields()
    flags = known.get('Flags', '').split()
    caches = ', '.join(f'{name} {known[name + " cache"]}' for name in ('L1d', 'L2', 'L3')
                       if name + ' cache' in known)
    return [
        ('processor', f'{known.get("Model name", platform.processor())}, family '
                      f'{known.get("CPU family", "?")}, model {known.get("Model", "?")}'),
        ('cores', f'{len(physical_cores())} physical, '
                  f'{known.get("Thread(s) per core", "?")} thread(s) each'),
        ('caches', caches),
        ('flags', ' '.join(flag for flag in FLAGS if flag in flags)),
        ('virtual machine', known.get('Hypervisor vendor', 'no')),
        ('memory', f'{memory_text()}, transparent huge pages: {huge_pages()}'),
        ('system', f'{system_name()}, Linux {platform.release()}, Python '
                   f'{platform.python_version()}'),
    ]


def load_text():
    return ' '.join(f'{load:.2f}' for load in os.getloadavg())
