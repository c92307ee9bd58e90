#define _DEFAULT_SOURCE /* getrusage */
#include "cli/measure.h"

#include "cli/clock.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum {
    READ_THREADS_MAX = 256,
    READ_LINE = 64,
    READ_BLOCK = 4 * READ_LINE,
    READ_SIZE_MIN = 32 << 20
};

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double rank(const double *sorted, size_t count, double share)
{
    size_t at = (size_t)(share * (double)count);
    return sorted[at < count ? at : count - 1];
}

double measure_percentile(double *times, size_t count, double share)
{
    qsort(times, count, sizeof *times, compare);
    return rank(times, count, share);
}

struct measure_spread measure_spread_of(double *times, size_t count)
{
    qsort(times, count, sizeof *times, compare);
    return (struct measure_spread){
        .least = times[0],
        .lower = rank(times, count, 0.25),
        .median = rank(times, count, 0.5),
        .upper = rank(times, count, 0.75),
        .most = times[count - 1],
    };
}

double measure_spread_share(const struct measure_spread *spread)
{
    return spread->median > 0 ? (spread->upper - spread->lower) / spread->median : 0;
}

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

uint64_t measure_fill(float *x, size_t count, uint64_t seed)
{
    for (size_t i = 0; i < count; i++) x[i] = (float)(splitmix64(&seed) >> 40) * 0x1p-23f - 1;
    return seed;
}

uint64_t measure_hash(uint64_t hash, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < size; i++) hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
    return hash;
}

char *measure_cpu_name(char *text, size_t room)
{
    char line[512];
    FILE *file = fopen("/proc/cpuinfo", "r");
    snprintf(text, room, "unknown");
    while (file && fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon) continue;
        snprintf(text, room, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
        break;
    }
    if (file) fclose(file);
    return text;
}

uint64_t measure_peak_memory(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss * 1024 : 0;
}

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__) && !defined(__clang__)
#define BEST_TIER __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define BEST_TIER
#endif

typedef uint64_t words __attribute__((vector_size(READ_LINE)));

/* One thread's share. */
struct part {
    const unsigned char *bytes;
    size_t size, passes;
    uint64_t sum; /* read by nobody, but the compiler does not know */
};

/* Four sums, so that no addition waits for the one before it. */
BEST_TIER static uint64_t sum_all(const unsigned char *bytes, size_t size, size_t passes)
{
    words sums[4] = { { 0 } }, line;
    for (size_t pass = 0; pass < passes; pass++)
        for (size_t i = 0; i + READ_BLOCK <= size; i += READ_BLOCK)
            for (size_t at = 0; at < 4; at++) {
                memcpy(&line, bytes + i + at * READ_LINE, READ_LINE);
                sums[at] += line ^ pass; /* so that no pass is left out */
            }
    words all = sums[0] + sums[1] + sums[2] + sums[3];
    uint64_t sum = 0;
    for (size_t i = 0; i < READ_LINE / sizeof sum; i++) sum += all[i];
    return sum;
}

static void *read_part(void *argument)
{
    struct part *part = argument;
    part->sum += sum_all(part->bytes, part->size, part->passes);
    return NULL;
}

double measure_read(const void *bytes, size_t size, unsigned threads)
{
    static struct part parts[READ_THREADS_MAX];
    pthread_t handles[READ_THREADS_MAX];
    if (threads > READ_THREADS_MAX) threads = READ_THREADS_MAX;
    size_t share = size / threads / READ_LINE * READ_LINE, passes = READ_SIZE_MIN / size + 1;
    unsigned started = 1;
    for (unsigned i = 0; i < threads; i++)
        parts[i] = (struct part){ (const unsigned char *)bytes + i * share, share, passes, 0 };
    double start = clock_seconds();
    while (started < threads &&
           pthread_create(&handles[started], NULL, read_part, &parts[started]) == 0)
        started++;
    read_part(&parts[0]);
    for (unsigned i = 1; i < started; i++) pthread_join(handles[i], NULL);
    return started == threads ? (clock_seconds() - start) / (double)passes : 0;
}
