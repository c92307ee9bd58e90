/* bandwidth file|array|huge FILE.npy|BYTES: how fast one core reads the values of FILE, as pages of
 * the file, copied into memory of its own, or into such memory in large pages where the system
 * allows them; or, for the last two, so many bytes. Each line of standard input is a number of
 * streams, 1, 2 or 4, and one of passes; the answer is a line of JSON: the seconds they took, and
 * of these the seconds that the thread waited for its core. */
#include "base/mem.h"
#include "bench/npy.h"
#include "bench/waited.h"
#include "os/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE = 64, STREAMS_MAX = 4, BLOCK = 2 * LINE * STREAMS_MAX };

typedef uint64_t words __attribute__((vector_size(LINE)));

static inline __attribute__((always_inline)) void add(words *sums, const char *bytes)
{
    words line;
    memcpy(&line, bytes, LINE);
    sums[0] += line;
    memcpy(&line, bytes + LINE, LINE);
    sums[1] += line;
}

/* Sums every word; in several streams, because which number of them is the fastest depends on the
 * processor's prefetchers. streams is a constant where this is inlined, so that the sums are
 * registers. */
static inline __attribute__((always_inline)) uint64_t sum_streams(const char *bytes, size_t size,
                                                                  int streams)
{
    words s[2 * STREAMS_MAX] = { 0 };
    size_t part = size / (size_t)streams;
    for (const char *at = bytes, *end = bytes + part; at < end; at += 2 * LINE) {
        add(s, at);
        if (streams > 1) add(s + 2, at + part);
        if (streams > 2) add(s + 4, at + 2 * part);
        if (streams > 3) add(s + 6, at + 3 * part);
    }
    words all = s[0] + s[1] + s[2] + s[3] + s[4] + s[5] + s[6] + s[7];
    uint64_t sum = 0;
    for (size_t i = 0; i < LINE / sizeof(uint64_t); i++) sum += all[i];
    return sum;
}

#if defined(__x86_64__)
#define BEST_TIER __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define BEST_TIER
#endif

BEST_TIER static uint64_t sum_one(const char *bytes, size_t size)
{
    return sum_streams(bytes, size, 1);
}

BEST_TIER static uint64_t sum_two(const char *bytes, size_t size)
{
    return sum_streams(bytes, size, 2);
}

BEST_TIER static uint64_t sum_four(const char *bytes, size_t size)
{
    return sum_streams(bytes, size, 4);
}

static void serve(const char *bytes, size_t size)
{
    unsigned streams, passes;
    uint64_t sum = 0;
    while (scanf("%u %u", &streams, &passes) == 2) {
        double waited = waited_seconds();
        uint64_t start = clock_ns();
        for (unsigned i = 0; i < passes; i++)
            sum += streams == 1   ? sum_one(bytes, size)
                   : streams == 2 ? sum_two(bytes, size)
                                  : sum_four(bytes, size);
        double seconds = (double)(clock_ns() - start) * 1e-9;
        printf("{\"seconds\": %.9f, \"waited\": %.9f, \"bytes\": %zu, \"sum\": %llu}\n", seconds,
               waited_seconds() - waited, size, (unsigned long long)sum);
        fflush(stdout);
    }
}

static char *line_start(char *memory)
{
    return memory + (LINE - (uintptr_t)memory % LINE);
}

/* Memory with what source has, or size bytes of anything, from the start of a line on. */
static wg_err fill(const void *source, size_t size, bool large_pages, char **memory)
{
    wg_err err = mem_resize(memory, size + LINE);
    if (err != WG_OK) return err;
    if (large_pages) prefer_large_pages(*memory, size + LINE);
    char *bytes = line_start(*memory);
    if (source)
        memcpy(bytes, source, size);
    else
        memset(bytes, 1, size);
    return WG_OK;
}

static wg_err serve_kind(const char *kind, const char *what)
{
    wg_err err = WG_OK;
    struct npy npy = { 0 };
    char *memory = NULL, *end;
    size_t size = strtoull(what, &end, 10);
    bool of_file = *end != '\0', in_file = strcmp(kind, "file") == 0;
    if (in_file && !of_file) return wg_fail(WG_EINVAL, "pages of a file need a FILE, got %s", what);
    if (of_file) {
        TRY(npy_open(what, &npy));
        size = npy.count * sizeof(float);
    }
    size = size / BLOCK * BLOCK;
    if (size == 0) TRY(wg_fail(WG_EINVAL, "%s: fewer than %d bytes", what, BLOCK));
    if (!in_file) TRY(fill(npy.values, size, strcmp(kind, "huge") == 0, &memory));
    serve(memory ? line_start(memory) : (const char *)npy.values, size);
out:
    mem_free(&memory);
    npy_close(&npy);
    return err;
}

int main(int argument_count, char **arguments)
{
    if (argument_count != 3) {
        fprintf(stderr, "usage: bandwidth file|array|huge FILE.npy|BYTES\n");
        return 2;
    }
    if (serve_kind(arguments[1], arguments[2]) == WG_OK) return 0;
    fprintf(stderr, "bandwidth: %s\n", wg_message());
    return 1;
}
