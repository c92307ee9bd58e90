#pragma once
/* One line of JSON Lines: {"id": number or string, "vector": [numbers], "payload": {...}}, in any
 * order; id and payload may be absent. The vector, nearly all of the text, is read here, without a
 * JSON tree; json-c checks the rest. Failures name the column, from 1. */
#include "cli/error.h"
#include "cli/heap.h"
#include "waggle/collection.h"

struct json_span {
    const char *begin, *end; /* begin NULL: absent */
};

struct json_line {
    const char *text; /* what was split; ends with a 0 */
    struct json_span id, vector, payload;
};

/* Finds the three values; any other key is an error. out points into text. */
WG_CHECKED wg_err json_line_split(const char *text, size_t size, struct json_line *out);

/* Writes at most room numbers; *count is how many there are. */
WG_CHECKED wg_err json_line_vector(const struct json_line *line, float *vector, size_t room,
                                   size_t *count);

/* The line has an id. A string is copied to texts. */
WG_CHECKED wg_err json_line_id(const struct json_line *line, struct text_pool *texts, wg_id *out);
/* The line has a payload. Checked to be an object and copied to texts. */
WG_CHECKED wg_err json_line_payload(const struct json_line *line, struct text_pool *texts,
                                    const char **out);
