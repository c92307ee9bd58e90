#pragma once
/* How long the calling thread has waited for a core, in seconds. Linux counts it as the second
 * number; 0 where it does not. */
#include <stdio.h>

static inline double waited_seconds(void)
{
    unsigned long long ran, waited = 0;
    FILE *file = fopen("/proc/thread-self/schedstat", "r");
    if (!file) return 0;
    if (fscanf(file, "%llu %llu", &ran, &waited) != 2) waited = 0;
    fclose(file);
    return (double)waited * 1e-9;
}
