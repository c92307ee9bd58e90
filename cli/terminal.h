#pragma once
/* What the streams are connected to, and what it can show. */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

void terminal_init(void); /* first of all: reads the locale */

bool terminal_is(FILE *stream);
bool terminal_utf8(void);            /* by the locale */
bool terminal_colours(FILE *stream); /* a terminal that is not dumb, and no NO_COLOR */
size_t terminal_columns(FILE *stream); /* 100 where it is no terminal */
