#pragma once
/* Line plots as an SVG file: axes with ticks, a legend, vertical marks; readable on light and on
 * dark ground, which the viewer chooses. */
#include "cli/error.h"

#include <stddef.h>

enum { PLOT_NAME_SIZE = 64 };

/* Zero but for its name is an empty line. Points are joined in the order in which they come. */
struct plot_series {
    char name[PLOT_NAME_SIZE];
    double *x, *y;
    size_t count, room;
};

void plot_add(struct plot_series *series, double x, double y);
void plot_series_free(struct plot_series *series);

struct plot_mark { /* a dashed line from top to bottom */
    const char *name;
    double x;
};

struct plot {
    const char *title, *x_title, *y_title;
    bool x_log, y_log; /* else from 0 on; on a logarithmic axis only what is positive is shown */
    const struct plot_series *series;
    size_t series_count;
    const struct plot_mark *marks;
    size_t mark_count;
};

/* WG_EINVAL and the like when path cannot be written: before an hour of measuring, not after it. A
 * file that is there stays as it is; one that is not is made, empty. */
WG_CHECKED wg_err plot_check(const char *path);

/* The plots below one another. A full disk is WG_ENOSPC; the file is then incomplete. */
WG_CHECKED wg_err plot_write(const struct plot *plots, size_t count, const char *path);
