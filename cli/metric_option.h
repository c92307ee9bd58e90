#pragma once
/* For the option tables: a metric by its name, into an int, so that there is room for none. */
#include "cli/error.h"
#include "waggle/knn.h"

#define METRIC_NAMES "cosine, dot, euclidean, manhattan or chebyshev"
enum { METRIC_NOT_GIVEN = -1 };

wg_err metric_option_parse(const char *text, void *target);
