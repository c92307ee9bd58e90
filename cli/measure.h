#pragma once
/* What measurements need: order statistics, numbers that are the same everywhere, a hash. */
#include <stddef.h>
#include <stdint.h>

/* Sorts times; the nearest rank for a share of 0 to 1, so that 0.5 is the median. count >= 1. */
double measure_percentile(double *times, size_t count, double share);

/* The shape of a series of times, in their unit: quartiles and ends, by nearest rank. */
struct measure_spread {
    double least, lower, median, upper, most;
};
/* Sorts times; count >= 1. */
struct measure_spread measure_spread_of(double *times, size_t count);
/* Half of all values lie within this part of the median: the quartiles' distance over it. */
double measure_spread_share(const struct measure_spread *spread);

/* Uniform in [-1, 1), by splitmix64: the same bits for the same seed on every machine. Returns the
 * seed with which a next call goes on. */
uint64_t measure_fill(float *x, size_t count, uint64_t seed);

/* FNV-1a over bytes, going on from hash; begin with MEASURE_HASH. */
#define MEASURE_HASH UINT64_C(0xcbf29ce484222325)
uint64_t measure_hash(uint64_t hash, const void *bytes, size_t size);

/* "model name" of /proc/cpuinfo, or "unknown". Returns text. */
char *measure_cpu_name(char *text, size_t room);

uint64_t measure_peak_memory(void); /* bytes resident at most so far */

/* Seconds that so many threads take to read all of a buffer once; 0: a thread failed to start.
 * Small buffers are read several times, so that the start of the threads does not count. */
double measure_read(const void *bytes, size_t size, unsigned threads);
