#include "cli/json_line.h"
#include "cli/text.h"

#include <errno.h>
#include <json-c/json.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 64, SHOWN_MAX = 40 };

/* A place in the line; end is where a 0 stands. */
struct scan {
    const char *text, *at, *end;
};

static wg_err fail_at(const char *text, const char *at, const char *format, ...)
{
    char what[512];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return fail(WG_EINVAL, "column %zu: %s", (size_t)(at - text) + 1, what);
}

static wg_err fail_expected(const struct scan *scan, const char *expected)
{
    unsigned char got = (unsigned char)*scan->at;
    if (scan->at >= scan->end)
        return fail_at(scan->text, scan->at, "the line ends, expected %s", expected);
    if (got < 32 || got > 126)
        return fail_at(scan->text, scan->at, "got byte 0x%02x, expected %s", got, expected);
    return fail_at(scan->text, scan->at, "got '%c', expected %s", got, expected);
}

static const char *skip_blanks(const char *at)
{
    while (*at == ' ' || *at == '\t' || *at == '\r') at++;
    return at;
}

static wg_err expect(struct scan *scan, char wanted, const char *expected)
{
    scan->at = skip_blanks(scan->at);
    if (*scan->at != wanted) return fail_expected(scan, expected);
    scan->at = skip_blanks(scan->at + 1);
    return WG_OK;
}

static wg_err skip_string(struct scan *scan, struct json_span *span)
{
    if (*scan->at != '"') return fail_expected(scan, "a string");
    span->begin = scan->at++;
    for (; *scan->at != '"'; scan->at++) {
        if (*scan->at == '\\' && scan->at + 1 < scan->end) scan->at++;
        if (scan->at >= scan->end) return fail_expected(scan, "the end of the string");
    }
    span->end = ++scan->at;
    return WG_OK;
}

/* An object or array, by its brackets; what is between them is checked by who reads it. */
static wg_err skip_container(struct scan *scan, struct json_span *span)
{
    struct json_span string;
    size_t depth = 0;
    span->begin = scan->at;
    do {
        if (scan->at >= scan->end) return fail_expected(scan, "a closing bracket");
        if (*scan->at == '"') {
            wg_err err = skip_string(scan, &string);
            if (err != WG_OK) return err;
            continue;
        }
        depth += *scan->at == '[' || *scan->at == '{';
        depth -= *scan->at == ']' || *scan->at == '}';
        scan->at++;
    } while (depth > 0);
    span->end = scan->at;
    return WG_OK;
}

static wg_err skip_value(struct scan *scan, struct json_span *span)
{
    if (*scan->at == '"') return skip_string(scan, span);
    if (*scan->at == '[' || *scan->at == '{') return skip_container(scan, span);
    span->begin = scan->at;
    scan->at += strcspn(scan->at, ",}] \t\r");
    span->end = scan->at;
    return scan->at > span->begin ? WG_OK : fail_expected(scan, "a value");
}

static struct json_span *slot_of(struct json_line *line, const struct json_span *key)
{
    const char *name = key->begin + 1;
    size_t size = (size_t)(key->end - key->begin) - 2;
    if (size == 2 && memcmp(name, "id", 2) == 0) return &line->id;
    if (size == 6 && memcmp(name, "vector", 6) == 0) return &line->vector;
    if (size == 7 && memcmp(name, "payload", 7) == 0) return &line->payload;
    return NULL;
}

static int shown(const struct json_span *span)
{
    ptrdiff_t size = span->end - span->begin;
    return (int)(size < SHOWN_MAX ? size : SHOWN_MAX);
}

static wg_err take_member(struct scan *scan, struct json_line *line)
{
    wg_err err = WG_OK;
    struct json_span key;
    TRY(skip_string(scan, &key));
    struct json_span *slot = slot_of(line, &key);
    if (!slot)
        return fail_at(scan->text, key.begin, "unknown key %.*s, expected id, vector or payload",
                       shown(&key), key.begin);
    if (slot->begin)
        return fail_at(scan->text, key.begin, "key %.*s a second time", shown(&key), key.begin);
    TRY(expect(scan, ':', "':'"));
    TRY(skip_value(scan, slot));
    scan->at = skip_blanks(scan->at);
out:
    return err;
}

wg_err json_line_split(const char *text, size_t size, struct json_line *out)
{
    wg_err err = WG_OK;
    struct scan scan = { text, text, text + size };
    struct json_line line = { .text = text };
    TRY(expect(&scan, '{', "'{'"));
    while (*scan.at != '}') {
        TRY(take_member(&scan, &line));
        if (*scan.at == '}') break;
        TRY(expect(&scan, ',', "',' or '}'"));
        if (*scan.at == '}') return fail_expected(&scan, "a key");
    }
    scan.at = skip_blanks(scan.at + 1);
    if (scan.at != scan.end) return fail_expected(&scan, "the end of the line");
    if (!line.vector.begin) return fail(WG_EINVAL, "there is no \"vector\"");
    *out = line;
out:
    return err;
}

/* Where a JSON number that begins at at ends; at itself when there is none. */
static const char *number_end(const char *at)
{
    const char *digits = at + (*at == '-'), *end = digits + strspn(digits, "0123456789");
    if (end == digits || (*digits == '0' && end > digits + 1)) return at;
    if (*end == '.') {
        size_t count = strspn(end + 1, "0123456789");
        if (count == 0) return at;
        end += 1 + count;
    }
    if (*end == 'e' || *end == 'E') {
        const char *exponent = end + 1 + (end[1] == '+' || end[1] == '-');
        size_t count = strspn(exponent, "0123456789");
        if (count == 0) return at;
        end = exponent + count;
    }
    return end;
}

static wg_err take_number(struct scan *scan, size_t component, float *out)
{
    const char *end = number_end(scan->at);
    struct json_span token = { scan->at, scan->at + strcspn(scan->at, ",] \t\r") };
    if (end != token.end || end == scan->at)
        return fail_at(scan->text, scan->at,
                       "component %zu of the vector is %.*s, expected a "
                       "number",
                       component, shown(&token), token.begin);
    *out = strtof(scan->at, NULL);
    if (!isfinite(*out))
        return fail_at(scan->text, scan->at,
                       "component %zu of the vector is %.*s, expected at "
                       "most %g in magnitude",
                       component, shown(&token), token.begin, (double)WG_COMPONENT_MAX);
    scan->at = skip_blanks(end);
    return WG_OK;
}

wg_err json_line_vector(const struct json_line *line, float *vector, size_t room, size_t *count)
{
    wg_err err = WG_OK;
    struct scan scan = { line->text, line->vector.begin, line->vector.end };
    if (*scan.at != '[')
        return fail_at(scan.text, scan.at, "\"vector\" is %.*s, expected an array of numbers",
                       shown(&line->vector), scan.at);
    scan.at = skip_blanks(scan.at + 1);
    size_t found = 0;
    for (; *scan.at != ']'; found++) {
        float ignored;
        if (found > 0) TRY(expect(&scan, ',', "',' or ']'"));
        TRY(take_number(&scan, found, found < room ? &vector[found] : &ignored));
    }
    if (scan.at + 1 != scan.end) return fail_expected(&scan, "the end of the vector");
    *count = found;
out:
    return err;
}

/* json-c's object and its error; *at is where it ended. */
static struct json_object *parse_with(const char *text, size_t size, int flags,
                                      enum json_tokener_error *error, size_t *at)
{
    struct json_tokener *tokener = json_tokener_new_ex(DEPTH_MAX);
    if (!tokener) heap_exhausted(0);
    json_tokener_set_flags(tokener, flags);
    struct json_object *object = json_tokener_parse_ex(tokener, text, (int)size);
    *error = json_tokener_get_error(tokener);
    *at = json_tokener_get_parse_end(tokener);
    json_tokener_free(tokener);
    return object;
}

/* Strictly first, with an x for every byte beyond ASCII, which some versions of json-c refuse in
 * their strict mode; then as it stands. NULL and a failure when it is no JSON. */
static struct json_object *parse(const struct json_line *line, const struct json_span *span,
                                 const char *name)
{
    size_t size = (size_t)(span->end - span->begin), at;
    enum json_tokener_error error;
    if (!text_is_utf8(span->begin, size)) {
        fail_at(line->text, span->begin, "\"%s\" is not valid JSON: it is not UTF-8", name);
        return NULL;
    }
    char *masked = NULL;
    heap_resize(&masked, size + 1);
    for (size_t i = 0; i < size; i++) masked[i] = span->begin[i] & '\x80' ? 'x' : span->begin[i];
    json_object_put(parse_with(masked, size, JSON_TOKENER_STRICT, &error, &at));
    heap_free(&masked);
    if (error == json_tokener_success) return parse_with(span->begin, size, 0, &error, &at);
    fail_at(line->text, span->begin + at, "\"%s\" is not valid JSON: %s", name,
            error == json_tokener_continue ? "it is incomplete" : json_tokener_error_desc(error));
    return NULL;
}

static wg_err string_id(const struct json_line *line, struct text_pool *texts, wg_id *out)
{
    struct json_object *string = parse(line, &line->id, "id");
    if (!string) return WG_EINVAL;
    size_t size = (size_t)json_object_get_string_len(string);
    const char *text = text_pool_copy(texts, json_object_get_string(string), size);
    json_object_put(string);
    if (strlen(text) != size) return fail(WG_EINVAL, "\"id\" has a 0 byte");
    wg_err err = wg_id_from_string(text, out);
    return err == WG_OK ? WG_OK : fail_library(err);
}

wg_err json_line_id(const struct json_line *line, struct text_pool *texts, wg_id *out)
{
    const char *text = line->id.begin;
    size_t size = (size_t)(line->id.end - text), digits = strspn(text, "0123456789");
    if (*text == '"') return string_id(line, texts, out);
    errno = 0;
    unsigned long long number = strtoull(text, NULL, 10);
    bool is_number = digits == size && (*text != '0' || size == 1);
    if (is_number && errno == 0) {
        wg_id_from_number(number, out);
        return WG_OK;
    }
    const char *what = is_number                          ? "too large"
                       : number_end(text) != line->id.end ? "neither number nor string"
                       : *text == '-'                     ? "negative"
                                                          : "no whole number in digits";
    return fail_at(line->text, text, "\"id\" is %.*s, which is %s, expected 0 to %llu or a string",
                   shown(&line->id), text, what, (unsigned long long)UINT64_MAX);
}

wg_err json_line_payload(const struct json_line *line, struct text_pool *texts, const char **out)
{
    const struct json_span *payload = &line->payload;
    if (*payload->begin != '{')
        return fail_at(line->text, payload->begin, "\"payload\" is %.*s, expected an object",
                       shown(payload), payload->begin);
    struct json_object *object = parse(line, payload, "payload");
    if (!object) return WG_EINVAL;
    json_object_put(object);
    *out = text_pool_copy(texts, payload->begin, (size_t)(payload->end - payload->begin));
    return WG_OK;
}
