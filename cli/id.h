#pragma once
/* Ids on the command line: digits are a number; a text in double quotes is the text between them,
 * even digits; anything else is a string, which may read as a UUID. */
#include "cli/error.h"
#include "waggle/collection.h"

/* *out may borrow text, whose closing quote is overwritten. */
WG_CHECKED wg_err id_parse(char *text, wg_id *out);
/* All of count texts; *out is the caller's to heap_free. */
WG_CHECKED wg_err id_parse_all(char **texts, int count, wg_id **out);

/* For people: as id_parse reads it, so that a string of digits comes in quotes; control characters
 * are shown as question marks. Returns text. */
char *id_text(const wg_id *id, char text[WG_ID_TEXT_SIZE]);
