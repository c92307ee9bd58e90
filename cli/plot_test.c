/* What stands in the SVG: every point where it belongs, texts escaped, ticks at the ends, and a
 * failure where the file cannot be written. */
#include "cli/plot.h"

#include "support/check.h"
#include "support/scratch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FRAME_LEFT = 84, FRAME_RIGHT = 620, FRAME_TOP = 44, FRAME_BOTTOM = 340 };

static const char *folder;
static char path[SCRATCH_PATH_SIZE + 8];
static char text[65536];

static int make_folder(void **state)
{
    (void)state;
    folder = scratch_create();
    snprintf(path, sizeof path, "%s/a.svg", folder);
    return 0;
}

static const char *draw(const struct plot *plots, size_t count)
{
    assert_ok(plot_write(plots, count, path));
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(text, 1, sizeof text - 1, file);
    text[size] = 0;
    fclose(file);
    assert_non_null(strstr(text, "</svg>\n"));
    return text;
}

static size_t count_of(const char *needle)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, needle)); at++) count++;
    return count;
}

static void assert_circle(double x, double y)
{
    char want[64];
    snprintf(want, sizeof want, "cx=\"%.1f\" cy=\"%.1f\"", x, y);
    if (!strstr(text, want)) fail_msg("no point at %s in\n%s", want, text);
}

static void points_stand_where_they_belong(void **state)
{
    (void)state;
    struct plot_series series = { .name = "line" };
    plot_add(&series, 1, 0);
    plot_add(&series, 10, 50);
    plot_add(&series, 100, 100);
    struct plot plot = { "title", "x", "y", .x_log = true, .series = &series, .series_count = 1 };
    draw(&plot, 1);
    assert_int_equal(count_of("<circle"), 3);
    assert_circle(FRAME_LEFT, FRAME_BOTTOM);
    assert_circle((FRAME_LEFT + FRAME_RIGHT) / 2.0, (FRAME_TOP + FRAME_BOTTOM) / 2.0);
    assert_circle(FRAME_RIGHT, FRAME_TOP);
    for (const char *const *tick = (const char *const[]){ ">1<", ">2<", ">5<", ">50<", ">100<",
                                                          ">0<", ">20<", ">80<", NULL };
         *tick; tick++)
        if (!strstr(text, *tick)) fail_msg("no tick %s in\n%s", *tick, text);
    assert_null(strstr(text, ">120<"));
    plot_series_free(&series);
}

static void texts_are_escaped_and_marks_named(void **state)
{
    (void)state;
    struct plot_series series[2] = { { .name = "a < b & c" }, { .name = "second" } };
    plot_add(&series[0], 1000, 2000000);
    plot_add(&series[0], 20000, 1);
    plot_add(&series[1], 5000, 30);
    struct plot_mark marks[] = { { "predicted", 3000 }, { "outside", 1 }, { "nowhere", NAN } };
    struct plot plot = { "R&D", "x", "y", true, true, series, 2, marks, 3 };
    struct plot two[] = { plot, plot };
    draw(two, 2);
    assert_int_equal(count_of("a &lt; b &amp; c"), 2);
    assert_int_equal(count_of("R&amp;D"), 2);
    assert_int_equal(count_of("predicted"), 2);
    assert_null(strstr(text, "outside"));
    assert_null(strstr(text, "nowhere"));
    assert_null(strstr(text, "nan"));
    assert_int_equal(count_of("<g transform"), 2);
    assert_non_null(strstr(text, ">10K<"));
    assert_non_null(strstr(text, "prefers-color-scheme: dark"));
    for (size_t i = 0; i < 2; i++) plot_series_free(&series[i]);
}

static void what_cannot_be_shown_is_left_out(void **state)
{
    (void)state;
    struct plot_series series = { .name = "line" };
    plot_add(&series, 0, 1);
    plot_add(&series, 1, -1);
    plot_add(&series, INFINITY, 5);
    plot_add(&series, 3, NAN);
    plot_add(&series, 7, 7);
    struct plot plot = { "t", "x", "y", true, true, &series, 1, NULL, 0 };
    draw(&plot, 1);
    assert_int_equal(count_of("<circle"), 1);
    assert_null(strstr(text, "nan"));
    assert_null(strstr(text, "inf"));
    plot.series_count = 0;
    draw(&plot, 1);
    assert_null(strstr(text, "nan"));
    plot.x_log = plot.y_log = false;
    draw(&plot, 1);
    draw(NULL, 0);
    plot_series_free(&series);
}

static void what_cannot_be_written_is_an_error(void **state)
{
    (void)state;
    struct plot plot = { .title = "t", .x_title = "x", .y_title = "y" };
    char absent[sizeof path + 8];
    snprintf(absent, sizeof absent, "%s/no/a.svg", folder);
    assert_int_equal(plot_check(absent), WG_ENOTFOUND);
    assert_non_null(strstr(fail_message(), absent));
    assert_int_equal(plot_write(&plot, 1, absent), WG_ENOTFOUND);
    assert_int_equal(plot_check(folder), WG_EIO);
    assert_int_equal(plot_write(&plot, 1, "/dev/full"), WG_ENOSPC);
    assert_non_null(strstr(fail_message(), "/dev/full"));
    draw(&plot, 1);
    assert_int_equal(plot_check(path), WG_OK); /* and what is there stays */
    FILE *file = fopen(path, "rb");
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    assert_int_equal(ftell(file), strlen(text));
    fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(points_stand_where_they_belong),
        cmocka_unit_test(texts_are_escaped_and_marks_named),
        cmocka_unit_test(what_cannot_be_shown_is_left_out),
        cmocka_unit_test(what_cannot_be_written_is_an_error),
    };
    return cmocka_run_group_tests(tests, make_folder, NULL);
}
