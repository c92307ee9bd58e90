#include "cli/plot.h"

#include "cli/heap.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

/* Of one plot, in pixels. */
enum { WIDTH = 900, HEIGHT = 400, LEFT = 84, RIGHT = 280, TOP = 44, BOTTOM = 60 };
enum { TICKS_MAX = 64, TICKS_FEW = 10, COLOURS = 6, NUMBER_SIZE = 32 };

static const double STEPS = 5; /* ticks of a linear axis, about */

static const char style[] =
    "<style>\n"
    "text { font: 13px sans-serif; fill: #222 }\n"
    ".title { font-weight: bold }\n"
    ".ground { fill: #fff } .grid { stroke: #e2e2e2 } .axis { stroke: #555 }\n"
    ".mark { stroke: #555; stroke-dasharray: 2 3 }\n"
    ".line { fill: none; stroke-width: 2 } .second { stroke-dasharray: 7 4 }\n"
    ".c0 { stroke: #0072b2 } .c1 { stroke: #d55e00 } .c2 { stroke: #008f68 }\n"
    ".c3 { stroke: #b5578b } .c4 { stroke: #a87500 } .c5 { stroke: #5f5f9f }\n"
    ".dot { fill: #fff; stroke-width: 2 }\n"
    "@media (prefers-color-scheme: dark) {\n"
    "  text { fill: #e6e6e6 }\n"
    "  .ground, .dot { fill: #1b1b1f } .grid { stroke: #37373d } .axis, .mark { stroke: #aaa }\n"
    "  .c0 { stroke: #58b4ec } .c1 { stroke: #ff8f55 } .c2 { stroke: #3fd6a6 }\n"
    "  .c3 { stroke: #ee9fca } .c4 { stroke: #f0bb45 } .c5 { stroke: #a9a9ee }\n"
    "}\n"
    "</style>\n";

void plot_add(struct plot_series *series, double x, double y)
{
    if (series->count == series->room) {
        series->room = series->room ? 2 * series->room : 16;
        heap_resize(&series->x, series->room);
        heap_resize(&series->y, series->room);
    }
    series->x[series->count] = x;
    series->y[series->count++] = y;
}

void plot_series_free(struct plot_series *series)
{
    heap_free(&series->x);
    heap_free(&series->y);
    series->count = series->room = 0;
}

/* From low to high, over length pixels. */
struct axis {
    bool log;
    double low, high, length;
    double ticks[TICKS_MAX];
    size_t tick_count;
};

static double place(const struct axis *axis, double value)
{
    double share = axis->log ? log(value / axis->low) / log(axis->high / axis->low)
                             : (value - axis->low) / (axis->high - axis->low);
    return share * axis->length;
}

static bool is_shown(const struct axis *axis, double value)
{
    return isfinite(value) && (value > 0 || !axis->log);
}

static void widen(struct axis *axis, const double *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!is_shown(axis, values[i])) continue;
        axis->low = fmin(axis->low, values[i]);
        axis->high = fmax(axis->high, values[i]);
    }
}

/* 1, 2 and 5 in each decade, or where that is crowded, 1. */
static void tick_log(struct axis *axis)
{
    static const double steps[] = { 1, 2, 5 };
    double decade = pow(10, floor(log10(axis->low))), low = 0, high = 0;
    size_t each = axis->high / axis->low > 2000 ? 1 : 3;
    axis->tick_count = 0;
    for (size_t i = 0; high < axis->high && axis->tick_count < TICKS_MAX; i++) {
        high = decade * pow(10, (double)(i / each)) * steps[i % each];
        if (high <= axis->low * (1 + 1e-9)) axis->tick_count = 0, low = high;
        axis->ticks[axis->tick_count++] = high;
    }
    axis->low = low;
    axis->high = high > low ? high : 10 * low;
}

static void tick_linear(struct axis *axis)
{
    double step = pow(10, floor(log10(axis->high / STEPS)));
    double steps = axis->high / STEPS / step;
    step *= steps <= 1 ? 1 : steps <= 2 ? 2 : steps <= 5 ? 5 : 10;
    axis->low = 0;
    for (axis->tick_count = 0; axis->tick_count < TICKS_FEW; axis->tick_count++) {
        axis->ticks[axis->tick_count] = step * (double)axis->tick_count;
        axis->high = fmax(axis->high, axis->ticks[axis->tick_count]);
        if (axis->ticks[axis->tick_count] >= axis->high) break;
    }
    axis->tick_count++;
}

static struct axis make_axis(const struct plot *plot, bool of_x)
{
    struct axis axis = { .log = of_x ? plot->x_log : plot->y_log,
                         .low = INFINITY,
                         .high = -INFINITY,
                         .length = of_x ? WIDTH - LEFT - RIGHT : HEIGHT - TOP - BOTTOM };
    for (size_t i = 0; i < plot->series_count; i++)
        widen(&axis, of_x ? plot->series[i].x : plot->series[i].y, plot->series[i].count);
    if (!(axis.high > 0)) axis.high = axis.low = 1; /* nothing to show */
    if (axis.log)
        tick_log(&axis);
    else
        tick_linear(&axis);
    return axis;
}

static void write_text(FILE *file, const char *text)
{
    for (; *text; text++)
        if (*text == '&')
            fputs("&amp;", file);
        else if (*text == '<')
            fputs("&lt;", file);
        else
            fputc(*text, file);
}

static const char *number(double value, char text[NUMBER_SIZE])
{
    static const char *const units[] = { "", "K", "M", "G" };
    size_t unit = 0;
    for (; value >= 1000 && unit < 3; unit++) value /= 1000;
    snprintf(text, NUMBER_SIZE, "%.4g%s", value, units[unit]);
    return text;
}

/* anchor: start, middle or end, where x is. */
static void write_label(FILE *file, double x, double y, const char *anchor, const char *text)
{
    fprintf(file, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
    write_text(file, text);
    fputs("</text>\n", file);
}

static void write_line(FILE *file, const char *class, double x1, double y1, double x2, double y2)
{
    fprintf(file, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", class,
            x1, y1, x2, y2);
}

static void write_axes(FILE *file, const struct plot *plot, const struct axis *x,
                       const struct axis *y)
{
    char text[NUMBER_SIZE];
    double right = (double)LEFT + x->length, bottom = (double)TOP + y->length;
    for (size_t i = 0; i < x->tick_count; i++) {
        double at = (double)LEFT + place(x, x->ticks[i]);
        write_line(file, "grid", at, TOP, at, bottom);
        write_label(file, at, bottom + 18, "middle", number(x->ticks[i], text));
    }
    for (size_t i = 0; i < y->tick_count; i++) {
        double at = bottom - place(y, y->ticks[i]);
        write_line(file, "grid", LEFT, at, right, at);
        write_label(file, LEFT - 8, at + 4, "end", number(y->ticks[i], text));
    }
    write_line(file, "axis", LEFT, bottom, right, bottom);
    write_line(file, "axis", LEFT, TOP, LEFT, bottom);
    write_label(file, (double)LEFT + x->length / 2, bottom + 44, "middle", plot->x_title);
    fprintf(file, "<text transform=\"translate(22 %.1f) rotate(-90)\" text-anchor=\"middle\">",
            (double)TOP + y->length / 2);
    write_text(file, plot->y_title);
    fprintf(file, "</text>\n<text class=\"title\" x=\"%d\" y=\"24\">", LEFT);
    write_text(file, plot->title);
    fputs("</text>\n", file);
}

static void write_series(FILE *file, const struct plot_series *series, size_t index,
                         const struct axis *x, const struct axis *y)
{
    unsigned colour = (unsigned)(index % COLOURS);
    const char *dashes = index / COLOURS % 2 ? " second" : "";
    double legend = TOP + 10 + 20 * (double)index, bottom = (double)TOP + y->length;
    fprintf(file, "<polyline class=\"line%s c%u\" points=\"", dashes, colour);
    for (size_t i = 0; i < series->count; i++)
        if (is_shown(x, series->x[i]) && is_shown(y, series->y[i]))
            fprintf(file, "%.1f,%.1f ", (double)LEFT + place(x, series->x[i]),
                    bottom - place(y, series->y[i]));
    fputs("\"/>\n", file);
    for (size_t i = 0; i < series->count; i++)
        if (is_shown(x, series->x[i]) && is_shown(y, series->y[i]))
            fprintf(file, "<circle class=\"dot c%u\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>\n", colour,
                    (double)LEFT + place(x, series->x[i]), bottom - place(y, series->y[i]));
    fprintf(file, "<polyline class=\"line%s c%u\" points=\"%d,%.1f %d,%.1f\"/>\n", dashes, colour,
            WIDTH - RIGHT + 14, legend, WIDTH - RIGHT + 42, legend);
    write_label(file, WIDTH - RIGHT + 50, legend + 4, "start", series->name);
}

static void write_mark(FILE *file, const struct plot_mark *mark, size_t index, const struct axis *x,
                       const struct axis *y)
{
    if (!(mark->x >= x->low && mark->x <= x->high)) return;
    double at = (double)LEFT + place(x, mark->x);
    write_line(file, "mark", at, TOP, at, (double)TOP + y->length);
    write_label(file, at + 4, TOP + 14 + 16 * (double)index, "start", mark->name);
}

static void write_plot(FILE *file, const struct plot *plot, size_t index)
{
    struct axis x = make_axis(plot, true), y = make_axis(plot, false);
    fprintf(file, "<g transform=\"translate(0 %zu)\">\n", index * HEIGHT);
    write_axes(file, plot, &x, &y);
    for (size_t i = 0; i < plot->mark_count; i++) write_mark(file, &plot->marks[i], i, &x, &y);
    for (size_t i = 0; i < plot->series_count; i++) write_series(file, &plot->series[i], i, &x, &y);
    fputs("</g>\n", file);
}

static wg_err fail_write(int error, const char *path)
{
    char what[512];
    snprintf(what, sizeof what, "writing the plot %s", path);
    return fail_errno(error, what);
}

wg_err plot_check(const char *path)
{
    FILE *file = fopen(path, "ab");
    return file && fclose(file) == 0 ? WG_OK : fail_write(errno, path);
}

wg_err plot_write(const struct plot *plots, size_t count, const char *path)
{
    FILE *file = fopen(path, "wb");
    if (!file) return fail_write(errno, path);
    errno = 0;
    fprintf(file, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %zu\">\n%s", WIDTH,
            count * HEIGHT, style);
    fprintf(file, "<rect class=\"ground\" width=\"%d\" height=\"%zu\"/>\n", WIDTH, count * HEIGHT);
    for (size_t i = 0; i < count; i++) write_plot(file, &plots[i], i);
    fputs("</svg>\n", file);
    int error = ferror(file) ? (errno ? errno : EIO) : 0;
    if (fclose(file) != 0 && error == 0) error = errno;
    return error == 0 ? WG_OK : fail_write(error, path);
}
