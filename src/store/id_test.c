/* Ids as keys: the order, the spellings of UUIDs, and everything that is no id. */
#include "store/id.h"
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct prng prng;

static wg_id number_id(uint64_t number)
{
    return (wg_id){ .type = WG_ID_NUMBER, .as.number = number };
}

static wg_id string_id(const char *string)
{
    return (wg_id){ WG_ID_STRING, (uint32_t)strlen(string), { .string = string } };
}

/* As collection.h says: numbers, then UUIDs, then strings bytewise. */
static int compare_ids(const wg_id *a, const wg_id *b)
{
    if (a->type != b->type) return a->type < b->type ? -1 : 1;
    if (a->type == WG_ID_NUMBER)
        return a->as.number < b->as.number ? -1 : a->as.number > b->as.number;
    if (a->type == WG_ID_UUID) return memcmp(a->as.uuid, b->as.uuid, 16);
    size_t shorter = a->size < b->size ? a->size : b->size;
    int order = memcmp(a->as.string, b->as.string, shorter);
    return order != 0 ? order : a->size < b->size ? -1 : a->size > b->size;
}

/* As LMDB orders keys: bytewise, the shorter first. */
static int compare_keys(const struct id_key *a, const struct id_key *b)
{
    size_t shorter = a->size < b->size ? a->size : b->size;
    int order = memcmp(a->bytes, b->bytes, shorter);
    return order != 0 ? order : a->size < b->size ? -1 : a->size > b->size;
}

static wg_id random_id(char text[WG_ID_SIZE_MAX])
{
    wg_id id = number_id(prng_next(&prng) >> test_below(&prng, 64));
    switch (test_below(&prng, 3)) {
    case 0: break;
    case 1:
        id.type = WG_ID_UUID;
        for (size_t i = 0; i < 16; i++)
            id.as.uuid[i] = test_below(&prng, 3) ? 0 : (uint8_t)prng_next(&prng);
        break;
    default: {
        uint32_t size = 1 + (uint32_t)test_below(&prng, test_below(&prng, 9) ? 4 : WG_ID_SIZE_MAX);
        for (size_t i = 0; i < size; i++)
            text[i] = (char)(test_below(&prng, 4) ? 'a' : 1 + i % 127);
        id = (wg_id){ WG_ID_STRING, size, { .string = text } };
    }
    }
    return id;
}

static int sign(int x)
{
    return (x > 0) - (x < 0);
}

static void keys_order_as_ids_do(void **state)
{
    (void)state;
    enum { COUNT = 300 };
    static wg_id ids[COUNT];
    static struct id_key keys[COUNT];
    static char texts[COUNT][WG_ID_SIZE_MAX];
    static const uint64_t edges[] = { 0, 1, 255, 256, 65535, 1ull << 32, 1ull << 63, UINT64_MAX };
    for (size_t i = 0; i < COUNT; i++) {
        ids[i] = i < 8 ? number_id(edges[i]) : random_id(texts[i]);
        assert_ok(id_key_make(&ids[i], i, &keys[i]));
    }
    for (size_t i = 0; i < COUNT; i++)
        for (size_t j = 0; j < COUNT; j++)
            assert_int_equal(sign(compare_ids(&ids[i], &ids[j])),
                             sign(compare_keys(&keys[i], &keys[j])));
}

static void a_key_stands_for_its_id(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3000; i++) {
        char text[WG_ID_SIZE_MAX];
        wg_id id = random_id(text), back = { 0 };
        struct id_key key;
        assert_ok(id_key_make(&id, SIZE_MAX, &key));
        struct bytes bytes = id_key_bytes(&key);
        assert_int_equal(bytes.size, key.size);
        assert_memory_equal(bytes.start, key.bytes, key.size);
        assert_ok(id_from_key(bytes, &back));
        assert_int_equal(compare_ids(&id, &back), 0);
    }
}

static const uint8_t the_uuid[16] = { 0x55, 0x0e, 0x84, 0x00, 0xe2, 0x9b, 0x41, 0xd4,
                                      0xa7, 0x16, 0x44, 0x66, 0x55, 0x44, 0x00, 0xff };

static void a_uuid_has_many_spellings(void **state)
{
    (void)state;
    static const char *const spellings[] = { "550e8400-e29b-41d4-a716-4466554400ff",
                                             "550E8400-E29B-41D4-A716-4466554400FF",
                                             "550e8400-E29b-41D4-a716-4466554400fF" };
    wg_id uuid = { .type = WG_ID_UUID };
    memcpy(uuid.as.uuid, the_uuid, 16);
    struct id_key want, got;
    assert_ok(id_key_make(&uuid, 0, &want));
    for (size_t i = 0; i < 3; i++) {
        wg_id id = string_id(spellings[i]);
        assert_ok(id_key_make(&id, 0, &got));
        assert_int_equal(compare_keys(&want, &got), 0);
        id_normalize(&id);
        assert_int_equal(id.type, WG_ID_UUID);
        assert_memory_equal(id.as.uuid, the_uuid, 16);
        id_normalize(&id);
        assert_int_equal(id.type, WG_ID_UUID);
    }
}

static void what_nearly_is_one_stays_a_string(void **state)
{
    (void)state;
    static const char *const strings[] = {
        "550e8400e29b41d4a7164466554400ff",
        "{550e8400-e29b-41d4-a716-4466554400ff}",
        "urn:uuid:550e8400-e29b-41d4-a716-4466554400ff",
        "550e8400-e29b-41d4-a716-4466554400f",
        "550e8400-e29b-41d4-a716-4466554400ff0",
        "550e8400-e29b-41d4-a716-4466554400fg",
        "550e8400_e29b_41d4_a716_4466554400ff",
        "550e840-0e29b-41d4-a716-4466554400ff",
        " 550e8400-e29b-41d4-a716-446655440ff",
        "550e8400-e29b-41d4-a71-64466554400ff",
        "@50e8400-e29b-41d4-a716-4466554400ff",
        "`50e8400-e29b-41d4-a716-4466554400ff",
        "550e8400-e29b-41d4-a716--466554400ff",
        "123",
        "+50e8400-e29b-41d4-a716-4466554400ff",
    };
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
        wg_id id = string_id(strings[i]), back;
        struct id_key key;
        id_normalize(&id);
        assert_int_equal(id.type, WG_ID_STRING);
        assert_ok(id_key_make(&id, 0, &key));
        assert_ok(id_from_key(id_key_bytes(&key), &back));
        assert_int_equal(back.type, WG_ID_STRING);
        assert_memory_equal(back.as.string, strings[i], strlen(strings[i]));
    }
}

static void refused(wg_id id)
{
    struct id_key key = { .size = 77 };
    assert_err(WG_EINVAL, "id 3: ", id_key_make(&id, 3, &key));
    assert_memory_equal(wg_message(), "id 3: ", 6);
    assert_err(WG_EINVAL, "id: ", id_key_make(&id, SIZE_MAX, &key));
    assert_memory_equal(wg_message(), "id: ", 4);
    assert_int_equal(key.size, 77);
}

static void what_is_no_id_is_refused(void **state)
{
    (void)state;
    char text[WG_ID_SIZE_MAX + 2];
    memset(text, 'x', sizeof text);
    refused((wg_id){ 0 });
    refused((wg_id){ .type = (wg_id_type)4 });
    refused((wg_id){ .type = (wg_id_type)-1 });
    refused((wg_id){ WG_ID_STRING, 0, { .string = text } });
    refused((wg_id){ WG_ID_STRING, 3, { .string = NULL } });
    refused((wg_id){ WG_ID_STRING, WG_ID_SIZE_MAX + 1, { .string = text } });
    refused((wg_id){ WG_ID_STRING, UINT32_MAX, { .string = text } });
    refused((wg_id){ WG_ID_STRING, 3, { .string = "a\0b" } });
    refused((wg_id){ WG_ID_STRING, 1, { .string = "\0" } });
    refused((wg_id){ WG_ID_STRING, 2, { .string = "\xC3(" } });
    refused((wg_id){ WG_ID_STRING, 3, { .string = "\xED\xA0\x80" } });
    refused((wg_id){ WG_ID_STRING, 4, { .string = "abc\xC3" } });
    struct id_key key;
    wg_id longest = { WG_ID_STRING, WG_ID_SIZE_MAX, { .string = text } };
    assert_ok(id_key_make(&longest, 0, &key));
    assert_int_equal(key.size, ID_KEY_MAX);
}

static void strings_are_checked_alone_too(void **state)
{
    (void)state;
    char text[WG_ID_SIZE_MAX + 1];
    memset(text, 'x', sizeof text);
    assert_ok(id_check_string("a", 1));
    assert_ok(id_check_string("gr\xC3\xBC\xC3\x9F \n", 8));
    assert_ok(id_check_string(text, WG_ID_SIZE_MAX));
    assert_err(WG_EINVAL, "", id_check_string("", 0));
    assert_err(WG_EINVAL, "257", id_check_string(text, WG_ID_SIZE_MAX + 1));
    assert_err(WG_EINVAL, "", id_check_string("a\0b", 3));
    assert_err(WG_EINVAL, "", id_check_string("a\xFF", 2));
}

static void a_damaged_key_is_corrupt(void **state)
{
    (void)state;
    uint8_t key[ID_KEY_MAX + 1];
    static const struct {
        uint8_t type;
        size_t size;
    } wrong[] = { { 0, 9 },
                  { 4, 9 },
                  { 255, 17 },
                  { 1, 1 },
                  { 1, 8 },
                  { 1, 10 },
                  { 2, 16 },
                  { 2, 1 },
                  { 2, 18 },
                  { 3, 1 },
                  { 3, ID_KEY_MAX + 1 } };
    memset(key, 'a', sizeof key);
    wg_id id;
    assert_err(WG_ECORRUPT, "", id_from_key((struct bytes){ key, 0 }, &id));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        key[0] = wrong[i].type;
        assert_err(WG_ECORRUPT, "", id_from_key((struct bytes){ key, wrong[i].size }, &id));
    }
    assert_err(WG_ECORRUPT, "", id_from_key((struct bytes){ "\3a\0b", 4 }, &id));
    assert_err(WG_ECORRUPT, "", id_from_key((struct bytes){ "\3\xFF", 2 }, &id));
    assert_ok(id_from_key((struct bytes){ "\3ab", 3 }, &id));
}

static void formats_as(const wg_id *id, const char *want)
{
    char text[WG_ID_TEXT_SIZE];
    size_t length = strlen(want);
    assert_int_equal(id_format(id, NULL, 0), length);
    for (size_t room = 1; room <= length + 2 && room <= sizeof text; room++) {
        memset(text, '#', sizeof text);
        assert_int_equal(id_format(id, text, room), length);
        size_t written = room - 1 < length ? room - 1 : length;
        assert_memory_equal(text, want, written);
        assert_int_equal(text[written], 0);
        if (room < sizeof text) assert_int_equal(text[room], '#');
    }
}

static void ids_are_written_as_people_do(void **state)
{
    (void)state;
    wg_id id = number_id(0), uuid = { .type = WG_ID_UUID };
    formats_as(&id, "0");
    id = number_id(UINT64_MAX);
    formats_as(&id, "18446744073709551615");
    memcpy(uuid.as.uuid, the_uuid, 16);
    formats_as(&uuid, "550e8400-e29b-41d4-a716-4466554400ff");
    id = string_id("gr\xC3\xBC\xC3\x9F dich");
    formats_as(&id, "gr\xC3\xBC\xC3\x9F dich");
    id = (wg_id){ WG_ID_STRING, 3, { .string = "abcdef" } };
    formats_as(&id, "abc");
}

int main(void)
{
    prng.state = test_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_order_as_ids_do),
        cmocka_unit_test(a_key_stands_for_its_id),
        cmocka_unit_test(a_uuid_has_many_spellings),
        cmocka_unit_test(what_nearly_is_one_stays_a_string),
        cmocka_unit_test(what_is_no_id_is_refused),
        cmocka_unit_test(strings_are_checked_alone_too),
        cmocka_unit_test(a_damaged_key_is_corrupt),
        cmocka_unit_test(ids_are_written_as_people_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
