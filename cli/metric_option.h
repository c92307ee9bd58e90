#pragma once
/* For the option tables: a metric by its name, into an int, so that there is room for none. */
#include "cli/error.h"
#include "waggle/knn.h"

#define METRIC_NAMES "cosine, dot, euclidean, manhattan, chebyshev or,\nfor bits, hamming"
enum { METRIC_NOT_GIVEN = -1 };

wg_err metric_option_parse(const char *text, void *target);
/* What was given, or what goes with vectors of that type. */
wg_metric metric_or_default(int given, wg_type type);
