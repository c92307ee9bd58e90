/* bandwidth array|file FILE.npy: how fast one core reads the values of FILE, as pages of the file
 * or copied into memory of its own. Each line of standard input is a number of streams, 1, 2 or 4,
 * and one of passes; the answer is a line of JSON: the seconds they took, and of these the seconds
 * that the thread waited for its core. */
#include "base/mem.h"
#include "bench/npy.h"
#include "bench/waited.h"
#include "os/machine.h"

#include <stdio.h>
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

int main(int argument_count, char **arguments)
{
    wg_err err = WG_OK;
    struct npy npy = { 0 };
    float *copy = NULL;
    if (argument_count != 3) {
        fprintf(stderr, "usage: bandwidth array|file FILE.npy\n");
        return 2;
    }
    TRY(npy_open(arguments[2], &npy));
    const void *bytes = npy.values;
    if (strcmp(arguments[1], "array") == 0) {
        TRY(mem_resize(&copy, npy.count));
        memcpy(copy, npy.values, npy.count * sizeof *copy);
        bytes = copy;
    }
    serve(bytes, npy.count * sizeof(float) / BLOCK * BLOCK);
out:
    if (err != WG_OK) fprintf(stderr, "bandwidth: %s\n", wg_message());
    mem_free(&copy);
    npy_close(&npy);
    return err == WG_OK ? 0 : 1;
}
