#include "base/json.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <ctype.h>
#include <errno.h>
#include <json-c/json.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* The four hexadecimal digits of a \u escape, at text; -1: it is none. */
static long escaped_unit(const char *text)
{
    char digits[5] = { 0 };
    if (text[0] != '\\' || text[1] != 'u') return -1;
    for (size_t i = 0; i < 4; i++) {
        digits[i] = text[2 + i];
        if (!isxdigit((unsigned char)digits[i])) return -1; /* also at the text's end */
    }
    return strtol(digits, NULL, 16);
}

/* A \u0000, or half of a surrogate pair without the other. On a high half, passes the pair. */
static wg_err pass_escape(const char *text, size_t *at)
{
    long unit = escaped_unit(text + *at);
    if (unit == 0) return wg_fail(WG_EINVAL, "byte %zu: \\u0000 cannot be stored", *at);
    bool is_high = unit >= 0xd800 && unit < 0xdc00, is_low = unit >= 0xdc00 && unit < 0xe000;
    long next = is_high && text[*at + 6] == '\\' ? escaped_unit(text + *at + 6) : -1;
    if (is_low || (is_high && (next < 0xdc00 || next >= 0xe000)))
        return wg_fail(WG_EINVAL, "byte %zu: half of a surrogate pair", *at);
    *at += is_high ? 7 : 1;
    return WG_OK;
}

/* Behind the string that begins at text[at], a quote; one that is not closed ends with the text. */
static wg_err pass_string(const char *text, size_t size, size_t *at)
{
    wg_err err = WG_OK;
    size_t i = *at + 1;
    for (; i < size && text[i] != '"'; i++) {
        if ((unsigned char)text[i] < ' ')
            return wg_fail(WG_EINVAL, "byte %zu: a control character in a string", i);
        if (text[i] == '\\') TRY(pass_escape(text, &i));
    }
    *at = i + 1;
out:
    return err;
}

static size_t digits_at(const char *text)
{
    return strspn(text, "0123456789");
}

/* Bytes of the number at text, by JSON's grammar; 0: it is none. */
static size_t number_length(const char *text, bool *is_integer)
{
    size_t i = text[0] == '-', digits = digits_at(text + i);
    bool fine = digits == 1 || (digits > 1 && text[i] != '0');
    i += digits;
    *is_integer = text[i] != '.' && text[i] != 'e' && text[i] != 'E';
    if (text[i] == '.') {
        digits = digits_at(text + i + 1);
        fine = fine && digits > 0;
        i += 1 + digits;
    }
    if (text[i] == 'e' || text[i] == 'E') {
        i += text[i + 1] == '-' || text[i + 1] == '+' ? 2 : 1;
        digits = digits_at(text + i);
        fine = fine && digits > 0;
        i += digits;
    }
    return fine ? i : 0;
}

/* Behind the number that begins at text[at]. The text ends with a 0, so strtod stops in time. */
static wg_err pass_number(const char *text, size_t *at)
{
    bool is_integer;
    size_t length = number_length(text + *at, &is_integer);
    if (length == 0) return wg_fail(WG_EINVAL, "byte %zu: not a number as JSON writes it", *at);
    if (!is_integer && !isfinite(strtod(text + *at, NULL)))
        return wg_fail(WG_EINVAL, "byte %zu: a number beyond the range of a double", *at);
    errno = 0;
    if (is_integer && text[*at] == '-') (void)strtoll(text + *at, NULL, 10);
    if (is_integer && text[*at] != '-') (void)strtoull(text + *at, NULL, 10);
    if (is_integer && errno == ERANGE)
        return wg_fail(WG_EINVAL, "byte %zu: an integer beyond 64 bits", *at);
    *at += length;
    return WG_OK;
}

/* What json-c accepts and JSON does not have, or would not keep. What is left to it is how the
 * tokens follow each other. */
static wg_err check_tokens(const char *text, size_t size)
{
    wg_err err = WG_OK;
    for (size_t i = 0; i < size;) {
        if (text[i] == '"')
            TRY(pass_string(text, size, &i));
        else if (text[i] == '-' || (text[i] >= '0' && text[i] <= '9'))
            TRY(pass_number(text, &i));
        else if (strchr("{}[],: \t\r\n"
                        "truefalsn",
                        text[i]))
            i++;
        else
            TRY(wg_fail(WG_EINVAL, "byte %zu: '%c' outside of a string", i, text[i]));
    }
out:
    return err;
}

static wg_err fail_parse(enum json_tokener_error error, size_t at, size_t size)
{
    if (error == json_tokener_continue || at > size)
        return wg_fail(WG_EINVAL, "the JSON ends in the middle, after %zu bytes", size);
    return wg_fail(WG_EINVAL, "byte %zu: %s", at, json_tokener_error_desc(error));
}

static wg_err parse(const char *text, size_t size, int flags, struct json_object **out)
{
    struct json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH_MAX);
    if (!tokener) return wg_fail(WG_ENOMEM, "no memory to read a payload");
    json_tokener_set_flags(tokener, flags);
    struct json_object *object = json_tokener_parse_ex(tokener, text, (int)size + 1);
    enum json_tokener_error error = json_tokener_get_error(tokener);
    size_t end = json_tokener_get_parse_end(tokener);
    json_tokener_free(tokener);
    wg_err err = WG_OK;
    if (error != json_tokener_success)
        err = fail_parse(error, end, size);
    else if (!json_object_is_type(object, json_type_object))
        err = wg_fail(WG_EINVAL, "expected a JSON object, got %s",
                      json_type_to_name(json_object_get_type(object)));
    if (err == WG_OK)
        *out = object;
    else
        json_object_put(object);
    return err;
}

/* Strictly, with an x for every byte beyond ASCII: what json-c says to those in its strict mode
 * differs from version to version (0.18 refuses them all), and they were checked. */
static wg_err check_structure(const char *text, size_t size)
{
    wg_err err = WG_OK;
    struct json_object *object = NULL;
    char *masked = NULL;
    TRY(mem_resize(&masked, size + 1));
    for (size_t i = 0; i <= size; i++) masked[i] = text[i] & '\x80' ? 'x' : text[i];
    TRY(parse(masked, size, JSON_TOKENER_STRICT, &object));
out:
    json_object_put(object);
    mem_free(&masked);
    return err;
}

wg_err json_check_object(const char *text, size_t size)
{
    wg_err err = WG_OK;
    if (size > JSON_SIZE_MAX)
        return wg_fail(WG_EINVAL, "%zu bytes; at most %d", size, JSON_SIZE_MAX);
    size_t good = utf8_length(text, size);
    if (good < size) return wg_fail(WG_EINVAL, "byte %zu: not UTF-8", good);
    if (memchr(text, 0, size)) return wg_fail(WG_EINVAL, "a 0 byte in the text");
    TRY(check_tokens(text, size));
    TRY(check_structure(text, size));
out:
    return err;
}

wg_err json_merge(const char *object, const char *patch, struct arena *arena, char **out)
{
    wg_err err = WG_OK;
    struct json_object *into = NULL, *from = NULL;
    TRY(parse(object, strlen(object), 0, &into));
    TRY(parse(patch, strlen(patch), 0, &from));
    json_object_object_foreach(from, key, value)
    {
        if (json_object_object_add(into, key, json_object_get(value)) != 0)
            TRY(wg_fail(WG_ENOMEM, "no memory to merge a payload"));
    }
    size_t length;
    const char *text =
        json_object_to_json_string_length(into,
                                          JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE,
                                          &length);
    if (!text) TRY(wg_fail(WG_ENOMEM, "no memory to print a payload"));
    TRY(arena_copy(arena, text, length, out));
out:
    json_object_put(into);
    json_object_put(from);
    return err;
}
