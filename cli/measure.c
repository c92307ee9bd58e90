#define _DEFAULT_SOURCE /* getrusage */
#include "cli/measure.h"

#include "cli/clock.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { READ_THREADS_MAX = 256, READ_LANES = 8, READ_SIZE_MIN = 32 << 20 };

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double measure_percentile(double *times, size_t count, double share)
{
    qsort(times, count, sizeof *times, compare);
    size_t at = (size_t)(share * (double)count);
    return times[at < count ? at : count - 1];
}

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

void measure_fill(float *x, size_t count, uint64_t seed)
{
    for (size_t i = 0; i < count; i++) x[i] = (float)(splitmix64(&seed) >> 40) * 0x1p-23f - 1;
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

/* One thread's share; lanes, so that no addition waits for the one before it. */
struct part {
    const uint64_t *words;
    size_t count, passes;
    uint64_t sum; /* read by nobody, but the compiler does not know */
};

static void *read_part(void *argument)
{
    struct part *part = argument;
    uint64_t lanes[READ_LANES] = { 0 };
    for (size_t pass = 0; pass < part->passes; pass++)
        for (size_t i = 0; i + READ_LANES <= part->count; i += READ_LANES)
            for (size_t lane = 0; lane < READ_LANES; lane++)
                lanes[lane] += part->words[i + lane] ^ pass; /* so that no pass is left out */
    for (size_t lane = 0; lane < READ_LANES; lane++) part->sum += lanes[lane];
    return NULL;
}

double measure_read(const void *bytes, size_t size, unsigned threads)
{
    static struct part parts[READ_THREADS_MAX];
    pthread_t handles[READ_THREADS_MAX];
    if (threads > READ_THREADS_MAX) threads = READ_THREADS_MAX;
    size_t share = size / sizeof(uint64_t) / threads, passes = READ_SIZE_MIN / size + 1;
    unsigned started = 1;
    for (unsigned i = 0; i < threads; i++)
        parts[i] = (struct part){ (const uint64_t *)bytes + i * share, share, passes, 0 };
    double start = clock_seconds();
    while (started < threads &&
           pthread_create(&handles[started], NULL, read_part, &parts[started]) == 0)
        started++;
    read_part(&parts[0]);
    for (unsigned i = 1; i < started; i++) pthread_join(handles[i], NULL);
    return started == threads ? (clock_seconds() - start) / (double)passes : 0;
}
