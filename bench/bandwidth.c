/* bandwidth array|file FILE.npy: how fast one core reads the values of FILE, as pages of the file
 * or copied into memory of its own. Each line of standard input is a number of passes; the answer
 * is a line of JSON: the seconds they took, and of these the seconds that the thread waited for its
 * core. */
#include "base/mem.h"
#include "bench/npy.h"
#include "os/machine.h"

#include <stdio.h>
#include <string.h>

enum { LINE = 64, STREAMS = 4 };

typedef uint64_t words __attribute__((vector_size(LINE)));

/* Sums every word, in several streams with a sum each, so that what bounds it is the memory. */
#if defined(__x86_64__)
__attribute__((target_clones("avx512f", "avx2", "default")))
#endif
static uint64_t
read_all(const char *bytes, size_t size)
{
    words sums[STREAMS] = { 0 };
    size_t part = size / STREAMS / LINE * LINE;
    for (size_t at = 0; at < part; at += LINE)
        for (size_t s = 0; s < STREAMS; s++) {
            words line;
            memcpy(&line, bytes + s * part + at, LINE);
            sums[s] += line;
        }
    uint64_t sum = 0;
    for (size_t s = 0; s < STREAMS; s++)
        for (size_t i = 0; i < LINE / sizeof(uint64_t); i++) sum += sums[s][i];
    return sum;
}

/* Linux counts it as the second number; 0 where it does not. */
static double waited_seconds(void)
{
    unsigned long long ran, waited = 0;
    FILE *file = fopen("/proc/self/schedstat", "r");
    if (!file) return 0;
    if (fscanf(file, "%llu %llu", &ran, &waited) != 2) waited = 0;
    fclose(file);
    return (double)waited * 1e-9;
}

static void serve(const char *bytes, size_t size)
{
    unsigned passes;
    uint64_t sum = 0;
    while (scanf("%u", &passes) == 1) {
        double waited = waited_seconds();
        uint64_t start = clock_ns();
        for (unsigned i = 0; i < passes; i++) sum += read_all(bytes, size);
        double seconds = (double)(clock_ns() - start) * 1e-9;
        printf("{\"seconds\": %.9f, \"waited\": %.9f, \"bytes\": %zu, \"sum\": %llu}\n", seconds,
               waited_seconds() - waited, size / STREAMS / LINE * LINE * STREAMS,
               (unsigned long long)sum);
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
    serve(bytes, npy.count * sizeof(float));
out:
    if (err != WG_OK) fprintf(stderr, "bandwidth: %s\n", wg_message());
    mem_free(&copy);
    npy_close(&npy);
    return err == WG_OK ? 0 : 1;
}
