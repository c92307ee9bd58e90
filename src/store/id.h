#pragma once
/* Ids as the store keeps them. A key orders ids as the API promises: a byte for the type, then a
 * number's eight bytes, high first, a UUID's sixteen, or a string's own. */
#include "base/err.h"
#include "store/db.h"
#include "waggle/collection.h"

#include <stdbool.h>

enum { ID_KEY_MAX = 1 + WG_ID_SIZE_MAX };

struct id_key {
    size_t size;
    uint8_t bytes[ID_KEY_MAX];
};

/* WG_EINVAL for what cannot be an id; what is said begins with "id ITEM: " or, when item is
 * SIZE_MAX, with "id: ". A string that reads as a UUID gives that UUID's key. */
WG_CHECKED wg_err id_key_make(const wg_id *id, size_t item, struct id_key *out);
struct bytes id_key_bytes(const struct id_key *key);

/* The id that a key stands for; a string is borrowed from the key. WG_ECORRUPT for what is none. */
WG_CHECKED wg_err id_from_key(struct bytes key, wg_id *out);

/* A string that reads as a UUID becomes it; others stay. The string must be valid. */
void id_normalize(wg_id *id);

/* WG_EINVAL says what is wrong with a string of size bytes as an id. */
WG_CHECKED wg_err id_check_string(const char *string, size_t size);

/* By their keys: less than 0, 0, more than 0. Both normal. */
int id_compare(const wg_id *a, const wg_id *b);

/* As wg_id_format. */
size_t id_format(const wg_id *id, char *text, size_t room);
