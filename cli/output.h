#pragma once
/* Standard output: text, aligned tables, JSON. A write that fails (a closed pipe, a full disk) is
 * kept in mind: loops ask output_failed, and the program's end asks output_finish. */
#include "cli/error.h"
#include "cli/json.h"

#include <stddef.h>

void output_print(const char *format, ...) CLI_PRINTF(1, 2);
void output_json(struct json_object *take); /* as one line */

bool output_failed(void);
wg_err output_finish(void);

/* Marks text on a terminal that shows colours; "" elsewhere. */
enum output_style { STYLE_PLAIN, STYLE_BOLD, STYLE_FAINT, STYLE_GREEN, STYLE_RED };
const char *output_style(enum output_style style);

/* Cells are added row by row; the columns are as wide as their widest cell. */
struct table {
    size_t column_count;
    const char *const *titles; /* column_count; NULL: none */
    const char *alignment;     /* per column 'l' or 'r' */
    char **cells;
    size_t cell_count, cell_room;
};

void table_add(struct table *table, const char *format, ...) CLI_PRINTF(2, 3);
void table_print(struct table *table); /* and empties it */
void table_clear(struct table *table);
