#pragma once
/* The benchmarks of `waggle bench`, each in a file of its own, and what they share: the options,
 * and how a machine and a column of figures are written. */
#include "cli/output.h"
#include "cli/session.h"

#include <stddef.h>
#include <stdint.h>

/* 0, NULL or METRIC_NOT_GIVEN: not given; each benchmark has its own default. */
struct bench_options {
    uint64_t n, dim, k, batch, runs, seed;
    int metric; /* a wg_metric */
    bool csv, tiers;
    const char *svg; /* a file to draw into */
};

WG_CHECKED wg_err bench_exact(const struct bench_options *options);
WG_CHECKED wg_err bench_bandwidth(const struct bench_options *options);
WG_CHECKED wg_err bench_break_even(const struct bench_options *options);

/* The processor and where it stands: what every result begins with. */
struct bench_machine {
    char processor[128], tier[16];
    unsigned threads;
};
void bench_machine_init(struct bench_machine *machine, const wg_context *context);
void bench_machine_print(const struct bench_machine *machine);          /* a line of text */
struct json_object *bench_machine_json(const struct bench_machine *machine); /* to add to */
