#include "cli/output.h"

#include "cli/heap.h"
#include "cli/terminal.h"
#include "cli/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { CELL_SIZE_MAX = 1024, COLUMN_MAX = 16, GAP = 2, CELL_COLUMNS_MIN = 10 };

static int write_error; /* errno of the first write that failed; 0: none did */

static void note(int result)
{
    if (result < 0 && write_error == 0) write_error = errno != 0 ? errno : EIO;
}

void output_print(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    errno = 0;
    note(vprintf(format, args));
    va_end(args);
}

void output_json(struct json_object *take)
{
    errno = 0;
    note(puts(json_format(take)));
    json_object_put(take);
}

bool output_failed(void)
{
    return write_error != 0;
}

wg_err output_finish(void)
{
    errno = 0;
    note(fflush(stdout));
    return write_error != 0 ? fail_errno(write_error, "standard output") : WG_OK;
}

const char *output_style(enum output_style style)
{
    static const char *const escapes[] = {
        [STYLE_PLAIN] = "\033[0m",  [STYLE_BOLD] = "\033[1m", [STYLE_FAINT] = "\033[2m",
        [STYLE_GREEN] = "\033[32m", [STYLE_RED] = "\033[31m",
    };
    return terminal_colours(stdout) ? escapes[style] : "";
}

/* A text that was cut off ends in dots, and in no half character. */
static void mark_cut(char *text, size_t size)
{
    size_t at = size - 4;
    while (at > 0 && (text[at] & 0xc0) == 0x80) at--;
    memcpy(text + at, "...", 4);
}

void table_add(struct table *table, const char *format, ...)
{
    char text[CELL_SIZE_MAX];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (length >= (int)sizeof text) mark_cut(text, sizeof text);
    if (table->cell_count == table->cell_room) {
        table->cell_room = table->cell_room ? 2 * table->cell_room : 64;
        heap_resize(&table->cells, table->cell_room);
    }
    char *cell = NULL;
    size_t size = strlen(text) + 1;
    heap_resize(&cell, size);
    memcpy(cell, text, size);
    table->cells[table->cell_count++] = cell;
}

static void print_last(const char *text, size_t blanks, size_t columns)
{
    output_print("%*s", (int)blanks, "");
    if (text_width(text) <= columns || columns < CELL_COLUMNS_MIN)
        output_print("%s\n", text);
    else
        output_print("%.*s...\n", (int)text_prefix(text, columns - 3), text);
}

/* The last cell is cut where the line would be longer than columns. */
static void print_row(const struct table *table, const char *const *cells, const size_t *widths,
                      size_t columns)
{
    size_t last = table->column_count - 1;
    for (size_t i = 0; i <= last; i++) {
        size_t blanks = widths[i] - text_width(cells[i]);
        size_t before = table->alignment[i] == 'r' ? blanks : 0;
        if (i == last)
            print_last(cells[i], before, columns);
        else
            output_print("%*s%s%*s", (int)before, "", cells[i], (int)(blanks - before + GAP), "");
        columns -= columns > widths[i] + GAP ? widths[i] + GAP : columns;
    }
}

static void measure(const struct table *table, size_t *widths)
{
    for (size_t i = 0; i < table->column_count; i++)
        widths[i] = table->titles ? text_width(table->titles[i]) : 0;
    for (size_t i = 0; i < table->cell_count; i++) {
        size_t width = text_width(table->cells[i]), *widest = &widths[i % table->column_count];
        if (width > *widest) *widest = width;
    }
}

void table_clear(struct table *table)
{
    for (size_t i = 0; i < table->cell_count; i++) heap_free(&table->cells[i]);
    heap_free(&table->cells);
    table->cell_count = table->cell_room = 0;
}

void table_print(struct table *table)
{
    size_t widths[COLUMN_MAX];
    size_t columns = terminal_is(stdout) ? terminal_columns(stdout) : SIZE_MAX;
    measure(table, widths);
    if (table->titles) {
        output_print("%s", output_style(STYLE_FAINT));
        print_row(table, table->titles, widths, columns);
        output_print("%s", output_style(STYLE_PLAIN));
    }
    for (size_t i = 0; i < table->cell_count; i += table->column_count)
        print_row(table, (const char *const *)table->cells + i, widths, columns);
    table_clear(table);
}
