#include "cli/progress.h"

#include "cli/clock.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "cli/text.h"

#include <stdio.h>
#include <string.h>

enum { BAR_WIDTH = 24, BAR_WIDTH_MIN = 4, WORDS_WIDTH = 68, LINE_SIZE = 400 };
static const double redraw_seconds = 0.1, settled_seconds = 0.5;

void progress_begin(struct progress *progress, const char *verb, const char *unit, uint64_t base)
{
    *progress = (struct progress){ .verb = verb, .unit = unit, .base = base };
    progress->shown = terminal_is(stderr) && !common.json;
    progress->start = clock_seconds();
}

static void append(char *line, const char *text)
{
    size_t used = strlen(line);
    snprintf(line + used, LINE_SIZE - used, "%s", text);
}

/* As long as the terminal's width leaves room for. */
static void append_bar(char *line, double fraction)
{
    static const char *const eighths[] = { " ", "▏", "▎", "▍", "▌", "▋", "▊", "▉" };
    int room = (int)terminal_columns(stderr) - WORDS_WIDTH;
    int width = room < BAR_WIDTH ? room : BAR_WIDTH;
    int filled = (int)(fraction * width * 8);
    if (width < BAR_WIDTH_MIN) return;
    append(line, terminal_utf8() ? "▕" : "[");
    for (int cell = 0; cell < width; cell++) {
        int part = filled - cell * 8;
        if (terminal_utf8())
            append(line, part >= 8 ? "█" : eighths[part > 0 ? part : 0]);
        else
            append(line, part >= 8 ? "#" : part > 0 ? "-" : " ");
    }
    append(line, terminal_utf8() ? "▏" : "]");
}

static void draw(const struct progress *progress, uint64_t done, double fraction, double elapsed)
{
    char line[LINE_SIZE], text[TEXT_SIZE], part[TEXT_SIZE + 32];
    double rate = elapsed > 0 ? (double)(done - progress->base) / elapsed : 0;
    snprintf(line, sizeof line, "%s ", progress->verb);
    if (fraction >= 0) {
        append_bar(line, fraction);
        snprintf(part, sizeof part, " %3.0f %%", fraction * 100);
        append(line, part);
    }
    snprintf(part, sizeof part, "  %s %s", text_count(done, text), progress->unit);
    append(line, part);
    snprintf(part, sizeof part, "  %s/s", text_rate(rate, text));
    append(line, part);
    double base_fraction = done > 0 ? fraction * (double)progress->base / (double)done : 0;
    if (fraction > base_fraction && elapsed > settled_seconds) {
        double left = elapsed * (1 - fraction) / (fraction - base_fraction);
        snprintf(part, sizeof part, "  %s left", text_clock(left, text));
        append(line, part);
    }
    fprintf(stderr, "\r%.*s\033[K", (int)text_prefix(line, terminal_columns(stderr) - 1), line);
    fflush(stderr);
}

void progress_update(struct progress *progress, uint64_t done, double fraction)
{
    double now = clock_seconds();
    if (!progress->shown || (progress->drawn > 0 && now - progress->drawn < redraw_seconds)) return;
    progress->drawn = now;
    draw(progress, done, fraction > 1 ? 1 : fraction, now - progress->start);
}

void progress_end(struct progress *progress)
{
    if (progress->shown && progress->drawn > 0) fprintf(stderr, "\r\033[K");
    progress->shown = false;
}
