#include "cli/bench.h"
#include "cli/command.h"
#include "cli/metric_option.h"
#include "cli/plot.h"
#include "cli/text.h"

#include <string.h>

static struct bench_options flags = { .seed = 1, .metric = METRIC_NOT_GIVEN };

static const struct option_spec options[] = {
    { "n", 'n', .type = OPTION_COUNT, .value = "N", .target = &flags.n, .min = 1, .max = UINT32_MAX,
      .help = "rows, or at most so many (default: 100,000; bandwidth:\n256 MiB of them)" },
    { "dim", 'd', .type = OPTION_COUNT, .value = "N", .target = &flags.dim, .min = 1,
      .max = WG_DIM_MAX, .help = "dimensions (default: 128)" },
    { "k", 'k', .type = OPTION_COUNT, .value = "N", .target = &flags.k, .min = 1, .max = 1 << 20,
      .help = "neighbours of each query (default: 10)" },
    { "metric", 'm', .type = OPTION_PARSED, .value = "METRIC", .target = &flags.metric,
      .parse = metric_option_parse,
      .help = METRIC_NAMES "\n(default: euclidean; exact: then dot)" },
    { "batch", 'b', .type = OPTION_COUNT, .value = "N", .target = &flags.batch, .min = 1,
      .max = 1 << 20,
      .help = "exact: queries in a call (default: 1, 10, then 100);\n"
              "break-even: at most so many (default: 128)" },
    { "runs", 'r', .type = OPTION_COUNT, .value = "N", .target = &flags.runs, .min = 1,
      .max = 100000, .help = "calls measured (default: 15)" },
    { "seed", 0, .type = OPTION_COUNT, .value = "N", .target = &flags.seed, .max = UINT64_MAX,
      .help = "of the data (default: 1)" },
    { "tiers", 0, .type = OPTION_FLAG, .target = &flags.tiers,
      .help = "exact: each kernel tier of this processor, in turns" },
    { "csv", 0, .type = OPTION_FLAG, .target = &flags.csv, .help = "print comma-separated values" },
    { "svg", 0, .type = OPTION_TEXT, .value = "FILE", .target = &flags.svg,
      .help = "also draw the figures into FILE" },
    { 0 },
};

static const struct {
    const char *name;
    wg_err (*run)(const struct bench_options *options);
} benchmarks[] = {
    { "exact", bench_exact },
    { "bandwidth", bench_bandwidth },
    { "break-even", bench_break_even },
};
enum { BENCHMARK_COUNT = sizeof benchmarks / sizeof benchmarks[0] };

static wg_err fail_name(const char *name)
{
    const char *best = NULL;
    size_t distance = 0;
    for (size_t i = 0; i < BENCHMARK_COUNT; i++)
        text_suggest(name, benchmarks[i].name, &best, &distance);
    fail(WG_EINVAL, "unknown benchmark \"%s\", expected exact, bandwidth or break-even", name);
    return best ? fail_hint(WG_EINVAL, "did you mean \"%s\"?", best) : WG_EINVAL;
}

static wg_err check_flags(size_t benchmark)
{
    if (flags.csv && common.json) return fail(WG_EINVAL, "--csv and --json exclude each other");
    if (flags.tiers && common.cpu) return fail(WG_EINVAL, "--tiers and --cpu exclude each other");
    if (flags.tiers && benchmark != 0)
        return fail(WG_EINVAL, "--tiers belongs to exact, not to %s", benchmarks[benchmark].name);
    if (flags.batch && strcmp(benchmarks[benchmark].name, "bandwidth") == 0)
        return fail(WG_EINVAL, "bandwidth takes no --batch: it searches one query at a time");
    return flags.svg ? plot_check(flags.svg) : WG_OK;
}

static wg_err run(int argument_count, char **arguments)
{
    const char *name = argument_count == 1 ? arguments[0] : benchmarks[0].name;
    for (size_t i = 0; i < BENCHMARK_COUNT; i++) {
        if (strcmp(name, benchmarks[i].name) != 0) continue;
        wg_err err = check_flags(i);
        return err == WG_OK ? benchmarks[i].run(&flags) : err;
    }
    return fail_name(name);
}

const struct command cmd_bench = {
    .name = "bench",
    .arguments = "[exact|bandwidth|break-even]",
    .summary = "measure this machine",
    .details =
        "All on rows of random numbers in memory, each figure the median of several runs.\n"
        "exact (the default): how long exact searches take, and how much of their time plain\n"
        "reading of the rows would take; recall against float64; and a hash of rows and scores\n"
        "found, which is the same on every machine, tier and number of threads.\n"
        "bandwidth: what is read per second from caches and memory, by size, threads and page\n"
        "size, and what searches of buffers of those sizes reach.\n"
        "break-even: from which number of rows or queries on threads, batches, codes and devices\n"
        "pay: as predicted from sizes at least twice as far off, and as measured.",
    .argument_max = 1,
    .options = options,
    .common = COMMON_CONTEXT,
    .run = run,
};
