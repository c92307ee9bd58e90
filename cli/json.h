#pragma once
/* JSON out, over json-c: the same calls, but none returns NULL, and numbers of 32 bits are written
 * in the few digits that give the same bits back. */
#include "waggle/collection.h"

#include <json-c/json.h>

struct json_object *json_object_make(void);
struct json_object *json_array_make(void);
struct json_object *json_text(const char *text);
struct json_object *json_count(uint64_t count);
struct json_object *json_flag(bool flag);
struct json_object *json_float(float value);
/* For measurements: so many digits behind the point. */
struct json_object *json_decimal(double value, int digits);
struct json_object *json_id(const wg_id *id);
/* A vector as the library gave it. */
struct json_object *json_vector(wg_type type, const void *data, size_t dim);
/* text, a JSON document that the library gave, as it stands but on one line. */
struct json_object *json_raw(const char *text);

/* Both move value into the container; NULL becomes null. */
void json_put(struct json_object *object, const char *key, struct json_object *value);
void json_push(struct json_object *array, struct json_object *value);

/* One line without a newline; lives as long as the object and until its next change. */
const char *json_format(struct json_object *object);
