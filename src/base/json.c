#include "base/json.h"

#include "base/utf8.h"

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
    if (memcmp(text, "\\u", 2) != 0) return -1;
    memcpy(digits, text + 2, 4);
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

/* Behind the string that begins at text[at], a quote. */
static wg_err pass_string(const char *text, size_t *at)
{
    wg_err err = WG_OK;
    size_t i = *at + 1;
    for (; text[i] != '"'; i++) {
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

/* What json-c accepts and JSON does not have, or would not keep. The text was parsed: its strings
 * and escapes are closed. */
static wg_err check_tokens(const char *text, size_t size)
{
    wg_err err = WG_OK;
    for (size_t i = 0; i < size;) {
        if (text[i] == '"')
            TRY(pass_string(text, &i));
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

static wg_err parse(const char *text, size_t size, struct json_object **out)
{
    struct json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH_MAX);
    if (!tokener) return wg_fail(WG_ENOMEM, "no memory to read a payload");
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
    struct json_object *object = json_tokener_parse_ex(tokener, text, (int)size + 1);
    enum json_tokener_error error = json_tokener_get_error(tokener);
    size_t end = json_tokener_get_parse_end(tokener);
    json_tokener_free(tokener);
    wg_err err = WG_OK;
    if (error == json_tokener_continue)
        err = wg_fail(WG_EINVAL, "the JSON ends in the middle, after %zu bytes", size);
    else if (error != json_tokener_success)
        err = wg_fail(WG_EINVAL, "byte %zu: %s", end, json_tokener_error_desc(error));
    else if (!json_object_is_type(object, json_type_object))
        err = wg_fail(WG_EINVAL, "expected a JSON object, got %s",
                      json_type_to_name(json_object_get_type(object)));
    if (err == WG_OK)
        *out = object;
    else
        json_object_put(object);
    return err;
}

wg_err json_check_object(const char *text, size_t size)
{
    wg_err err = WG_OK;
    struct json_object *object = NULL;
    if (size > JSON_SIZE_MAX)
        return wg_fail(WG_EINVAL, "%zu bytes; at most %d", size, JSON_SIZE_MAX);
    size_t good = utf8_length(text, size); /* json-c's own check differs from version to version */
    if (good < size) return wg_fail(WG_EINVAL, "byte %zu: not UTF-8", good);
    if (memchr(text, 0, size)) return wg_fail(WG_EINVAL, "a 0 byte in the text");
    TRY(parse(text, size, &object));
    TRY(check_tokens(text, size));
out:
    json_object_put(object);
    return err;
}

wg_err json_merge(const char *object, const char *patch, struct arena *arena, char **out)
{
    wg_err err = WG_OK;
    struct json_object *into = NULL, *from = NULL;
    TRY(parse(object, strlen(object), &into));
    TRY(parse(patch, strlen(patch), &from));
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
