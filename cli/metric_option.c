#include "cli/metric_option.h"

wg_err metric_option_parse(const char *text, void *target)
{
    wg_metric metric;
    wg_err err = wg_metric_parse(text, &metric);
    if (err != WG_OK) return fail_library(err);
    *(int *)target = (int)metric;
    return WG_OK;
}

wg_metric metric_or_default(int given, wg_type type)
{
    if (given != METRIC_NOT_GIVEN) return (wg_metric)given;
    return type == WG_BITS ? WG_HAMMING : WG_COSINE;
}
