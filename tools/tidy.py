#!/usr/bin/env python3
"""What the layout promises, checked. Prints each violation as path:line: what.

tidy.py ROOT         reads the project at ROOT
tidy.py --self-test  plants one violation of each rule and expects it found, and only there
"""
import pathlib
import re
import subprocess
import sys
import tempfile

# A module may include itself and what stands in an earlier group; `os` and `kernel` only `base`.
ORDER = ['base', 'os kernel', 'device', 'quant', 'index spread', 'search', 'store', 'query', 'api']
MAY_INCLUDE = {m: {m, 'waggle'} | {e for earlier in ORDER[:i] for e in earlier.split()}
               for i, group in enumerate(ORDER) for m in group.split()}
FRONT = {'server', 'cli', 'examples'}   # these see the public headers, and their own
SIBLINGS = ('device/', 'index/')        # folders in here never include each other,
SHARED = {'shader'}                     # but may include these
# Where a name may stand: the starts of paths, separated by blanks. Paths are src/'s modules and the
# top folders: base/mem.c, cli/main.c, waggle/knn.h.
HEADER_HOME = [  # system header, its homes
    (r'unistd|fcntl|pthread|threads\.h|dlfcn|poll|signal|sched|dirent|sys/', 'os/ cli/'),
    (r'immintrin|cpuid', 'kernel/x86/'), (r'arm_neon|arm_sve', 'kernel/arm/'),
    (r'lmdb', 'store/'), (r'roaring', 'store/'), (r'xxhash', 'base/'), (r'json-c', 'base/ cli/'),
    (r'zlib', 'cli/'), (r'cmocka', 'nowhere'), (r'cuda|hip/|vulkan/|webgpu', 'nowhere'),
]
CALL_HOME = [    # call, its homes, what to use instead
    (r'(m|c|re)alloc|free|strn?dup|posix_memalign|aligned_alloc', 'base/mem.c cli/heap.c',
     'mem_resize, mem_free'),
    (r'v?sprintf|strcpy|strcat', 'nowhere', 'snprintf'),
    (r'[dlm]?rand(48)?|s[dr]?rand(48)?|random', 'nowhere', 'prng'),
    (r'getenv|secure_getenv', 'api/ cli/', 'the configuration'),
    (r'pthread_create|thrd_create', 'os/ cli/measure.c', 'threads'),
    (r'abort|exit|_exit', 'cli/', 'an error code'),
]
SYSTEM_MACRO = r'\b(__linux__|__linux|__unix__|__APPLE__|_WIN32|__FreeBSD__|__ANDROID__)\b'
FILE_LINES, FUNCTION_LINES, COLUMNS, PARAMETERS, NESTING = 1000, 80, 100, 6, 4
SOURCE_NAME = re.compile(r'(\.(c|h|cc|py|sh|cmake)|CMakeLists\.txt|tools/\w+|\.ci/run)$')
TEST_NAME = re.compile(r'_(test|check|fuzz)$')
# In any file that is tracked. Each pattern is written so that it does not match itself.
NEVER = [
    (r'(^|[^A-Za-z0-9_])/(w[o]rk|f[a]rm|h[o]me|U[s]ers)/', 'a path of one machine'),
    (r'\.\./share[d]\b|\.librar[y]\b', 'a path outside the project'),
    (r'pythonh[o]sted|pyp[i]\.org|npmj[s]\.|crate[s]\.io', 'the host of a package registry'),
    (r'de[b]\.debian|prox[y]\.golang|repo1?\.mave[n]', 'the host of a package registry'),
    (r'\b(TOD[O]|FIXM[E]|HAC[K])\b|\bXX[X]\b', 'unfinished work: do it or file it'),
]


def is_at_home(path, homes):
    return any(path.startswith(home) for home in homes.split())


def problems_of_include(path, target):
    module = path.split('/')[0]
    allowed = MAY_INCLUDE.get(module, {module, 'waggle'} if module in FRONT else {'waggle'})
    if '/' not in target:
        yield f'include "{module}/{target}", not a bare name'
    elif target.split('/')[0] not in allowed:
        yield f'{module} may not include {target.split("/")[0]}'
    for folder in SIBLINGS:
        ours, theirs = (p.split('/')[1] if p.startswith(folder) and p.count('/') > 1 else None
                        for p in (path, target))
        if ours and theirs and ours != theirs and theirs not in SHARED:
            yield f'{ours} and {theirs} are siblings'


def problems_of_line(path, line):
    if m := re.match(r'\s*#\s*include\s+"([^"]+)"', line):
        yield from problems_of_include(path, m[1])
    elif m := re.match(r'\s*#\s*include\s+<([^>]+)>', line):
        for pattern, homes in HEADER_HOME:
            if re.match(pattern, m[1]) and not is_at_home(path, homes):
                yield f'<{m[1]}> belongs in {homes}'
    elif re.match(r'\s*#\s*(el)?if', line):
        if (m := re.search(SYSTEM_MACRO, line)) and not is_at_home(path, 'os/'):
            yield f'{m[1]}: only os/ knows the operating system'
    else:
        for pattern, homes, instead in CALL_HOME:
            if (m := re.search(rf'(?<![\w.>"])({pattern})\s*\(', line)) \
                    and not is_at_home(path, homes):
                yield f'{m[1]}: use {instead}'


def without_comments(text):
    """The code alone, line by line: comments, and what stands in strings, become blanks."""
    blank = lambda m: re.sub(r'[^\n]', ' ', m[0])
    inside = lambda m: m[0] if m[0].startswith('/') else '"' + ' ' * (len(m[0]) - 2) + '"'
    text = re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"',
                  lambda m: blank(m) if m[0].startswith('/') else inside(m), text, flags=re.S)
    return text.splitlines()


def parameter_count(head):
    """Of a function's head, up to its body: the commas of the outermost parentheses, plus one."""
    depth = commas = 0
    for c in head[head.find('('):]:
        depth += (c == '(') - (c == ')')
        commas += c == ',' and depth == 1
    return commas + 1


def problems_of_functions(path, lines):
    start = None
    for n, line in enumerate(lines, 1):
        if re.match(r'[A-Za-z_].*\(', line):
            start = n
        if line == '{' and start:
            if (count := parameter_count(' '.join(lines[start - 1:n]))) > PARAMETERS:
                yield f'{path}:{start}: {count} parameters'
        if line.startswith('}'):
            if start and n - start > FUNCTION_LINES:
                yield f'{path}:{start}: function of {n - start} lines'
            start = None


def problems_of_nesting(path, lines):
    for n, line in enumerate(lines, 1):
        if re.match(rf' {{{4 * (NESTING + 1)},}}(if|for|while|switch|do)\b', line):
            yield f'{path}:{n}: nested more than {NESTING} deep'


def problems_of_public_header(path, text):
    """Every function is WG_API, and WG_CHECKED if it returns wg_err; none has a body."""
    code = '\n'.join(without_comments(text)).replace('extern "C" {', '').replace('extern " " {', '')
    directive = r'^[ \t]*#(?:[^\n]*\\\n)*[^\n]*'
    code = re.sub(directive, lambda m: '\n' * m[0].count('\n'), code, flags=re.M)
    for m in re.finditer(r'\bwg_\w+\s*\(', code):
        begin = max(code.rfind(c, 0, m.start()) for c in ';}') + 1
        head, n = code[begin:m.start()], code.count('\n', 0, m.start()) + 1
        if 'typedef' in head or '{' in head:
            continue
        name = m[0].rstrip('( ')
        if 'WG_API' not in head:
            yield f'{path}:{n}: {name} is not WG_API'
        if re.search(r'\bwg_err\s*$', head) and 'WG_CHECKED' not in head:
            yield f'{path}:{n}: {name} can fail and is not WG_CHECKED'
    for m in re.finditer(r'\)\s*\{', code):
        yield f'{path}:{code.count(chr(10), 0, m.start()) + 1}: a function body in a public header'


def problems_of_c(path, text):
    lines, code = text.splitlines(), without_comments(text)
    in_library = path.split('/')[0] in MAY_INCLUDE or path.split('/')[0] in FRONT | {'waggle'}
    is_test = TEST_NAME.search(pathlib.PurePath(path).stem)     # may reach for anything
    if in_library and not is_test:
        for n, (raw, line) in enumerate(zip(lines, code), 1):
            source = raw if re.match(r'\s*#\s*include', raw) else line
            yield from (f'{path}:{n}: {p}' for p in problems_of_line(path, source))
        yield from problems_of_nesting(path, code)
    if path.startswith('waggle/'):
        yield from problems_of_public_header(path, text)
    yield from problems_of_functions(path, code)


def problems_of_text(path, text):
    lines = text.splitlines()
    for n, line in enumerate(lines, 1):
        for pattern, what in NEVER:
            if m := re.search(pattern, line):
                yield f'{path}:{n}: {m[0].strip()}: {what}'
        if len(line) > COLUMNS and SOURCE_NAME.search(path):
            yield f'{path}:{n}: {len(line)} columns'
    if len(lines) > FILE_LINES and SOURCE_NAME.search(path):
        yield f'{path}: {len(lines)} lines'


def project_files(root):
    """What git tracks or would, or in a plain folder every file but what is built."""
    try:
        listed = subprocess.run(['git', '-C', root, 'ls-files', '-coz', '--exclude-standard'],
                                capture_output=True, text=True, check=True)
        names = listed.stdout.split('\0')[:-1]
    except (OSError, subprocess.CalledProcessError):
        names = [f.relative_to(root).as_posix() for f in root.rglob('*')]
        names = [name for name in names if not name.startswith(('build/', '.'))]
    return sorted(name for name in set(names) if (root / name).is_file())


def problems(root):
    for name in project_files(root):
        try:
            text = (root / name).read_text()
        except UnicodeDecodeError:
            continue                                            # data
        if name != 'LICENSE':
            yield from problems_of_text(name, text)
        if name.endswith(('.c', '.h')):
            path = re.sub(r'^(src|include)/', '', name)
            place = name[:len(name) - len(path)]
            yield from (place + p for p in problems_of_c(path, text))


FINE = {
    'src/device/vulkan/a.c': '#include "device/shader/queue.h"',
    'src/api/b.c': '#include "waggle/knn.h"\nx = getenv("A");',
    'src/query/c.c': '#include "spread/spread.h"',
    'src/store/n.c': '#include "kernel/kernel.h"\n#include <lmdb.h>\n#include <roaring/roaring.h>',
    'src/base/json.c': '#include <json-c/json.h>\n#include <xxhash.h>',
    'src/base/mem.c': 'resized = realloc(old, size);',
    'src/base/words.c': '/* free(x) is no call */ s = "exit(1)"; x->free(y); mem_free(&z);',
    'src/kernel/x86/w.c': '#include <immintrin.h>',
    'src/os/posix/v.c': '#ifdef __linux__\n#include <fcntl.h>\n#endif',
    'src/index/flat/a_test.c': '#include "store/store.h"\n#include <cmocka.h>\np = calloc(1, 2);',
    'cli/z.c': '#include "cli/a.h"\n#include "waggle/knn.h"\n#include <zlib.h>\n#include <poll.h>',
    'src/index/flat/b_test.c': 'void f(void)\n{\n' + ' ' * 20 + 'for (;;) g();\n}',
    'tests/support/data.c': '#include "base/prng.h"\n#include <fcntl.h>',
    'src/search/six.c': 'int f(int a, int b, int (*c)(int, int), int d, int e, int g)\n{\n}',
    'include/waggle/fine.h':
        'typedef void wg_log_fn(void *user, wg_err err);\n'
        '#define wg_init(p) \\\n    wg_init_sized(p)\n'
        '#ifdef __cplusplus\nextern "C" {\n#endif\nstruct wg_a { int x; };\n'
        'WG_API void wg_init_sized(void *p);\n/* wg_b() is nice */\n'
        'WG_API WG_CHECKED wg_err wg_b(void *user,\n                          int x);\n',
}
PLANTED = {  # the one violation in each, and words of its report
    'cli/k.c': ('#include "base/err.h"', 'cli may not include base'),
    'examples/k.c': ('#include "api/api.h"', 'examples may not include api'),
    'src/os/l.c': ('#include "kernel/kernel.h"', 'os may not include kernel'),
    'src/kernel/a.c': ('#include "store/store.h"', 'kernel may not include store'),
    'src/kernel/b.c': ('#include "kernel.h"', 'not a bare name'),
    'src/device/vulkan/m.c': ('#include "device/cuda/cuda.h"', 'vulkan and cuda are siblings'),
    'src/index/ivf/c.c': ('#include "index/hnsw/hnsw.h"', 'ivf and hnsw are siblings'),
    'src/store/d.c': ('#include <fcntl.h>', 'belongs in os/'),
    'src/kernel/d.c': ('#include <immintrin.h>', 'belongs in kernel/x86/'),
    'src/kernel/x86/d.c': ('#include <arm_neon.h>', 'belongs in kernel/arm/'),
    'src/search/d.c': ('#include <lmdb.h>', 'belongs in store/'),
    'src/base/d.c': ('#include <roaring/roaring.h>', 'belongs in store/'),
    'src/store/e.c': ('#include <xxhash.h>', 'belongs in base/'),
    'src/store/f.c': ('#include <json-c/json.h>', 'belongs in base/'),
    'src/store/g.c': ('#include <zlib.h>', 'belongs in cli/'),
    'src/base/e.c': ('#include <cmocka.h>', 'belongs in nowhere'),
    'src/device/cuda/j.c': ('#include <cuda.h>', 'belongs in nowhere'),
    'src/index/e.c': ('p = calloc(1, 2);', 'calloc: use mem_resize'),
    'cli/e.c': ('free(p);', 'free: use mem_resize'),
    'src/store/h.c': ('sprintf(a, b);', 'use snprintf'),
    'src/store/i.c': ('x = rand();', 'use prng'),
    'src/device/f.c': ('x = getenv("WAGGLE_BACKEND");', 'use the configuration'),
    'src/search/f.c': ('pthread_create(&t, NULL, run, NULL);', 'use threads'),
    'src/search/g.c': ('if (!p) abort();', 'use an error code'),
    'src/store/o.c': ('#ifdef __linux__\n#endif', 'only os/ knows'),
    'src/query/g.c': ('x' * 101, '101 columns'),
    'src/search/h.c': ('void f(void)\n{' + '\n;' * 90 + '\n}', 'function of 92 lines'),
    'tests/h_test.c': ('void f(void)\n{' + '\n;' * 90 + '\n}', 'function of 92 lines'),
    'src/quant/i.c': ('\n' * 1001, '1001 lines'),
    'src/search/i.c': ('int f(int a, int b, int c, int d,\n      int e, int g, int h)\n{\n}',
                       '7 parameters'),
    'src/search/j.c': ('int f(void)\n{\n' + ' ' * 20 + 'if (x) y();\n}', 'nested'),
    'include/waggle/a.h': ('/* a */\nvoid wg_x(void);', 'wg_x is not WG_API'),
    'include/waggle/b.h': ('WG_API int wg_y(int x);\nWG_API wg_err wg_x(void);', 'not WG_CHECKED'),
    'include/waggle/c.h': ('WG_API int wg_x(int x)\n{\n    return x;\n}', 'a function body'),
    'docs/path.md': ('see /' + 'work/main', 'a path of one machine'),
    'docs/outside.md': ('see ../' + 'shared/DESIGN.md', 'a path outside'),
    'tools/a.sh': ('curl https://files.python' + 'hosted.org/', 'a package registry'),
    'tools/b.sh': ('curl http://deb.' + 'debian.org/', 'a package registry'),
    'README.md': ('TO' + 'DO: write this', 'unfinished work'),
}


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        for path, text in (FINE | {path: text for path, (text, _) in PLANTED.items()}).items():
            file = pathlib.Path(folder, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        reports = list(problems(pathlib.Path(folder)))
    for path, (_, words) in PLANTED.items():
        found = [report for report in reports if report.split(':')[0] == path]
        if len(found) != 1 or words not in found[0]:
            yield f'{path}: expected one report with "{words}", got {found}'
    yield from (report + ' (it is fine)' for report in reports if report.split(':')[0] in FINE)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    is_self_test = sys.argv[1] == '--self-test'
    found = list(self_test() if is_self_test else problems(pathlib.Path(sys.argv[1])))
    print(*found, sep='\n', end='\n' if found else '')
    what = f'{len(PLANTED)} planted violations' if is_self_test else 'the project'
    print(f'tidy: {what}: {len(found)} problems' if found else f'tidy: {what}: as it should be')
    sys.exit(bool(found))


if __name__ == '__main__':
    main()
