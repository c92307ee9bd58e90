#include "cli/json.h"

#include "cli/element.h"
#include "cli/heap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct json_object *made(struct json_object *object)
{
    if (!object) heap_exhausted(0);
    return object;
}

static void free_line(struct json_object *object, void *line)
{
    (void)object;
    heap_free_bytes(line);
}

struct json_object *json_object_make(void)
{
    return made(json_object_new_object());
}

struct json_object *json_array_make(void)
{
    return made(json_object_new_array());
}

struct json_object *json_text(const char *text)
{
    return made(json_object_new_string(text));
}

struct json_object *json_count(uint64_t count)
{
    return made(json_object_new_uint64(count));
}

struct json_object *json_flag(bool flag)
{
    return made(json_object_new_boolean(flag));
}

struct json_object *json_float(float value)
{
    char text[32];
    snprintf(text, sizeof text, "%.6g", (double)value);
    if (strtof(text, NULL) != value) snprintf(text, sizeof text, "%.9g", (double)value);
    return made(json_object_new_double_s((double)value, text));
}

struct json_object *json_decimal(double value, int digits)
{
    char text[64];
    snprintf(text, sizeof text, "%.*f", digits, value);
    return made(json_object_new_double_s(value, text));
}

struct json_object *json_id(const wg_id *id)
{
    if (id->type == WG_ID_NUMBER) return json_count(id->as.number);
    char text[WG_ID_TEXT_SIZE];
    wg_id_format(id, text, sizeof text);
    return json_text(text);
}

struct json_object *json_vector(wg_type type, const void *data, size_t dim)
{
    struct json_object *array = made(json_object_new_array_ext((int)dim));
    for (size_t i = 0; i < dim; i++) json_push(array, json_float(element_of(type, data, i)));
    return array;
}

struct json_object *json_raw(const char *text)
{
    size_t size = strlen(text);
    char *line = NULL;
    heap_resize(&line, size + 1);
    for (size_t i = 0; i <= size; i++) line[i] = text[i] == '\n' || text[i] == '\r' ? ' ' : text[i];
    struct json_object *object = json_object_make();
    json_object_set_serializer(object, json_object_userdata_to_json_string, line, free_line);
    return object;
}

void json_put(struct json_object *object, const char *key, struct json_object *value)
{
    if (json_object_object_add(object, key, value) != 0) heap_exhausted(0);
}

void json_push(struct json_object *array, struct json_object *value)
{
    if (json_object_array_add(array, value) != 0) heap_exhausted(0);
}

const char *json_format(struct json_object *object)
{
    const char *text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN |
                                                                  JSON_C_TO_STRING_NOSLASHESCAPE);
    if (!text) heap_exhausted(0);
    return text;
}
