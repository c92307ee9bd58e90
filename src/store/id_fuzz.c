/* Ids from any bytes: a key that is accepted is the key of its id, and an id that is accepted comes
 * back from its key and from its text. The first byte says how the rest is read. */
#include "store/id.h"
#include "support/check.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_be_same_id(const wg_id *got, const wg_id *want)
{
    must(got->type == want->type, "type %d, expected %d", got->type, want->type);
    switch (want->type) {
    case WG_ID_NUMBER: must(got->as.number == want->as.number, "another number"); break;
    case WG_ID_UUID: must(memcmp(got->as.uuid, want->as.uuid, 16) == 0, "another UUID"); break;
    case WG_ID_STRING:
        must(got->size == want->size, "%u bytes, expected %u", got->size, want->size);
        must(memcmp(got->as.string, want->as.string, want->size) == 0, "another string");
    }
}

/* A number as text is a string id when it is read again; the others come back as they were. */
static void through_text(const wg_id *id)
{
    char text[WG_ID_TEXT_SIZE], part[8];
    wg_id back;
    size_t length = wg_id_format(id, text, sizeof text);
    must(length < sizeof text && strlen(text) == length, "%zu bytes of %s", length, text);
    must(wg_id_format(id, part, sizeof part) == length, "another length with less room");
    size_t kept = length < sizeof part ? length : sizeof part - 1;
    must(strlen(part) == kept && memcmp(part, text, kept) == 0, "%s of %s", part, text);
    must_ok(wg_id_from_string(text, &back));
    if (id->type != WG_ID_NUMBER) must_be_same_id(&back, id);
}

static void through_key(const wg_id *id)
{
    struct id_key key;
    wg_id back;
    must_ok(id_key_make(id, SIZE_MAX, &key));
    must_ok(id_from_key(id_key_bytes(&key), &back));
    must_be_same_id(&back, id);
}

static void read_key(const uint8_t *data, size_t size)
{
    struct id_key again;
    wg_id id;
    wg_err err = id_from_key((struct bytes){ data, size }, &id);
    if (err != WG_OK) {
        must(err == WG_ECORRUPT && wg_message()[0], "%d: \"%s\"", err, wg_message());
        return;
    }
    must_ok(id_key_make(&id, 0, &again));
    must(again.size == size && memcmp(again.bytes, data, size) == 0,
         "a key of %zu bytes was accepted that is not its id's", size);
    through_text(&id);
}

static void read_string(const uint8_t *data, size_t size)
{
    char *string = allocate(size + 1, 1);
    wg_id id;
    memcpy(string, data, size);
    string[size] = 0;
    wg_err err = wg_id_from_string(string, &id);
    if (err == WG_OK) {
        through_text(&id);
        through_key(&id);
    } else {
        must(err == WG_EINVAL && wg_message()[0], "%d: \"%s\"", err, wg_message());
    }
    free(string);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        read_key(data, size);
    else if (data[0] % 2 == 0)
        read_key(data + 1, size - 1);
    else
        read_string(data + 1, size - 1);
    return 0;
}
