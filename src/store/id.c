#include "store/id.h"

#include "base/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* 8-4-4-4-12 digits. */
enum { UUID_TEXT_SIZE = 36 };

static int digit_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static bool is_dash_place(size_t i)
{
    return i == 8 || i == 13 || i == 18 || i == 23;
}

static bool parse_uuid(const char *text, size_t size, uint8_t uuid[16])
{
    if (size != UUID_TEXT_SIZE) return false;
    size_t digits = 0;
    for (size_t i = 0; i < size; i++) {
        if (is_dash_place(i)) {
            if (text[i] != '-') return false;
            continue;
        }
        int value = digit_value(text[i]);
        if (value < 0) return false;
        uint8_t *byte = &uuid[digits / 2];
        *byte = (uint8_t)(digits % 2 == 0 ? value << 4 : *byte | value);
        digits++;
    }
    return true;
}

static void format_uuid(const uint8_t uuid[16], char text[UUID_TEXT_SIZE + 1])
{
    size_t digits = 0;
    for (size_t i = 0; i < UUID_TEXT_SIZE; i++) {
        if (is_dash_place(i)) {
            text[i] = '-';
            continue;
        }
        int value = digits % 2 == 0 ? uuid[digits / 2] >> 4 : uuid[digits / 2] & 15;
        text[i] = "0123456789abcdef"[value];
        digits++;
    }
    text[UUID_TEXT_SIZE] = 0;
}

void id_normalize(wg_id *id)
{
    uint8_t uuid[16];
    if (id->type != WG_ID_STRING || !parse_uuid(id->as.string, id->size, uuid)) return;
    id->type = WG_ID_UUID;
    memcpy(id->as.uuid, uuid, sizeof uuid);
}

wg_err id_check_string(const char *string, size_t size)
{
    if (!string) return wg_fail(WG_EINVAL, "a string that is NULL");
    if (size == 0)
        return wg_fail(WG_EINVAL, "empty; a string id has 1 to %d bytes", WG_ID_SIZE_MAX);
    if (size > WG_ID_SIZE_MAX)
        return wg_fail(WG_EINVAL, "%zu bytes; a string id has at most %d", size, WG_ID_SIZE_MAX);
    size_t good = utf8_length(string, size);
    if (good < size) return wg_fail(WG_EINVAL, "not UTF-8 at byte %zu", good);
    if (memchr(string, 0, size)) return wg_fail(WG_EINVAL, "a 0 byte in a string");
    return WG_OK;
}

static wg_err check(const wg_id *id)
{
    switch (id->type) {
    case WG_ID_NUMBER:
    case WG_ID_UUID: return WG_OK;
    case WG_ID_STRING: return id_check_string(id->as.string, id->size);
    }
    return wg_fail(WG_EINVAL, "type %d; expected 1 (number), 2 (UUID) or 3 (string)", id->type);
}

wg_err id_key_make(const wg_id *id, size_t item, struct id_key *out)
{
    wg_err err = check(id);
    if (err != WG_OK && item == SIZE_MAX) return wg_fail(err, "id: %s", wg_message());
    if (err != WG_OK) return wg_fail(err, "id %zu: %s", item, wg_message());
    wg_id normal = *id;
    id_normalize(&normal);
    out->bytes[0] = (uint8_t)normal.type;
    switch (normal.type) {
    case WG_ID_NUMBER:
        for (size_t i = 0; i < 8; i++)
            out->bytes[1 + i] = (uint8_t)(normal.as.number >> (56 - 8 * i));
        out->size = 1 + 8;
        break;
    case WG_ID_UUID:
        memcpy(out->bytes + 1, normal.as.uuid, 16);
        out->size = 1 + 16;
        break;
    case WG_ID_STRING:
        memcpy(out->bytes + 1, normal.as.string, normal.size);
        out->size = 1 + normal.size;
        break;
    }
    return WG_OK;
}

struct bytes id_key_bytes(const struct id_key *key)
{
    return (struct bytes){ key->bytes, key->size };
}

wg_err id_from_key(struct bytes key, wg_id *out)
{
    const uint8_t *bytes = key.start;
    size_t size = key.size - 1;
    uint8_t uuid[16];
    wg_id id = { 0 };
    if (key.size > 1) id.type = (wg_id_type)bytes[0];
    if (id.type == WG_ID_NUMBER && size == 8) {
        for (size_t i = 0; i < 8; i++) id.as.number = id.as.number << 8 | bytes[1 + i];
    } else if (id.type == WG_ID_UUID && size == 16) {
        memcpy(id.as.uuid, bytes + 1, 16);
    } else if (id.type == WG_ID_STRING && size >= 1 && size <= WG_ID_SIZE_MAX) {
        if (id_check_string((const char *)bytes + 1, size) != WG_OK)
            return wg_fail(WG_ECORRUPT, "a key that is no id: %s", wg_message());
        id.as.string = (const char *)bytes + 1;
        id.size = (uint32_t)size;
        if (parse_uuid(id.as.string, size, uuid))
            return wg_fail(WG_ECORRUPT, "a key that is no id: a UUID as a string");
    } else {
        return wg_fail(WG_ECORRUPT, "a key of %zu bytes that is no id", key.size);
    }
    *out = id;
    return WG_OK;
}

int id_compare(const wg_id *a, const wg_id *b)
{
    if (a->type != b->type) return a->type < b->type ? -1 : 1;
    if (a->type == WG_ID_NUMBER)
        return (a->as.number > b->as.number) - (a->as.number < b->as.number);
    if (a->type == WG_ID_UUID) return memcmp(a->as.uuid, b->as.uuid, sizeof a->as.uuid);
    size_t common = a->size < b->size ? a->size : b->size;
    int order = memcmp(a->as.string, b->as.string, common);
    return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}

size_t id_format(const wg_id *id, char *text, size_t room)
{
    char uuid[UUID_TEXT_SIZE + 1];
    int length = 0;
    switch (id->type) {
    case WG_ID_NUMBER: length = snprintf(text, room, "%" PRIu64, id->as.number); break;
    case WG_ID_UUID:
        format_uuid(id->as.uuid, uuid);
        length = snprintf(text, room, "%s", uuid);
        break;
    case WG_ID_STRING: length = snprintf(text, room, "%.*s", (int)id->size, id->as.string); break;
    }
    return (size_t)length;
}
