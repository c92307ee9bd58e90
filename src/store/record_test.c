/* Keys that sort, records of one size, and formats of other programs. */
#include "store/record.h"
#include "support/check.h"

#include <string.h>

static void keys_are_as_in_the_format(void **state)
{
    (void)state;
    assert_memory_equal(space_key_of(0x0102).bytes, "\1\2", 2);
    assert_memory_equal(row_key_of(0x0102, 0x030405060708090Aull).bytes,
                        "\1\2\3\4\5\6\7\x08\x09\x0A", 10);
    assert_memory_equal(chunk_key_of(0x0102, 0x03040506).bytes, "\1\2\3\4\5\6", 6);
    assert_memory_equal(change_key_of(0x030405060708090Aull).bytes, "\3\4\5\6\7\x08\x09\x0A", 8);
    struct row_key key = row_key_of(7, 9);
    assert_int_equal(KEY_BYTES(key).size, 10);
    assert_ptr_equal(KEY_BYTES(key).start, key.bytes);
}

static int sign(int x)
{
    return (x > 0) - (x < 0);
}

static void keys_sort_by_their_number(void **state)
{
    (void)state;
    struct prng prng = { test_seed() };
    for (size_t i = 0; i < 20000; i++) {
        uint64_t a = prng_next(&prng) >> test_below(&prng, 64);
        uint64_t b = test_below(&prng, 2) ? a + test_below(&prng, 300) : prng_next(&prng);
        uint16_t space = (uint16_t)test_below(&prng, 3);
        struct row_key x = row_key_of(space, a), y = row_key_of(space, b);
        assert_int_equal(sign(memcmp(x.bytes, y.bytes, sizeof x.bytes)), (a > b) - (a < b));
        assert_int_equal(key_number(KEY_BYTES(x)), a);
        struct change_key c = change_key_of(a), d = change_key_of(b);
        assert_int_equal(sign(memcmp(c.bytes, d.bytes, sizeof c.bytes)), (a > b) - (a < b));
        assert_int_equal(change_key_sequence(KEY_BYTES(c)), a);
        struct chunk_key chunk = chunk_key_of(space, (uint32_t)a);
        assert_int_equal(key_number(KEY_BYTES(chunk)), (uint32_t)a);
        assert_true(memcmp(row_key_of(1, a).bytes, row_key_of(2, b).bytes, 10) < 0);
    }
}

static void a_record_has_one_size(void **state)
{
    (void)state;
    struct segment_record record = { 1, 2, 3, 4, 5, 6 }, copy = { 0 };
    struct bytes value = { &record, sizeof record };
    assert_ok(RECORD_READ(value, &copy, "segment 7"));
    assert_memory_equal(&copy, &record, sizeof copy);
    for (size_t size = 0; size < 60; size++) {
        if (size == sizeof record) continue;
        char wrong[60] = { 0 };
        value = (struct bytes){ wrong, size };
        assert_err(WG_ECORRUPT, "segment 7", RECORD_READ(value, &copy, "segment 7"));
    }
    char shifted[sizeof record + 1]; /* LMDB does not align values */
    memcpy(shifted + 1, &record, sizeof record);
    copy = (struct segment_record){ 0 };
    assert_ok(RECORD_READ(((struct bytes){ shifted + 1, sizeof record }), &copy, "segment 7"));
    assert_memory_equal(&copy, &record, sizeof copy);
}

struct value {
    struct point_record head;
    struct point_rows rows;
    char payload[7];
    char beyond;
};

static void a_point_is_read_in_place(void **state)
{
    (void)state;
    struct value value = { { 9, 7, 1, 0 }, { 1234567890123, 1, 0, 0 }, "{\"a\":1}", 'x' };
    memcpy(value.payload, "{\"a\":1}", 7);
    struct point point;
    assert_ok(point_read((struct bytes){ &value, 39 }, &point));
    assert_int_equal(point.head.version, 9);
    assert_int_equal(point.rows.first_row, 1234567890123);
    assert_ptr_equal(point.payload, value.payload);
    value.head.payload_size = 0;
    assert_ok(point_read((struct bytes){ &value, 32 }, &point));
}

static void a_point_that_does_not_add_up_is_corrupt(void **state)
{
    (void)state;
    struct value value = { { 9, 7, 1, 0 }, { 5, 1, 0, 0 }, "", 'x' };
    struct point point;
    for (size_t size = 0; size <= 40; size++)
        if (size != 39)
            assert_err(WG_ECORRUPT, "", point_read((struct bytes){ &value, size }, &point));
    value.head.payload_size = UINT32_MAX;
    assert_err(WG_ECORRUPT, "", point_read((struct bytes){ &value, 39 }, &point));
    value.head.payload_size = 7;
    static const uint16_t counts[] = { 0, 2, UINT16_MAX };
    for (size_t i = 0; i < 3; i++) {
        value.head.space_count = counts[i];
        assert_err(WG_ECORRUPT, "", point_read((struct bytes){ &value, 39 }, &point));
    }
}

static void formats_are_judged(void **state)
{
    (void)state;
    struct format_record format = format_current();
    assert_memory_equal(format.magic, "WAGGLEDB", 8);
    assert_int_equal(format.version, FORMAT_VERSION);
    assert_ok(format_check(&format, "p/q", false));
    assert_ok(format_check(&format, "p/q", true));
    format.features.ignorable = 0x80000001;
    assert_ok(format_check(&format, "p/q", false));
    format.features.read_only = 4;
    assert_err(WG_EREADONLY, "p/q", format_check(&format, "p/q", false));
    assert_ok(format_check(&format, "p/q", true));
    format.features.refuse = 1u << 31;
    assert_err(WG_EVERSION, "p/q", format_check(&format, "p/q", true));
    format = format_current();
    format.version = FORMAT_VERSION + 1;
    assert_err(WG_EVERSION, "p/q", format_check(&format, "p/q", true));
    assert_err(WG_EVERSION, "p/q", format_check(&format, "p/q", false));
    format = format_current();
    format.magic[7] = 'X';
    assert_err(WG_ECORRUPT, "p/q", format_check(&format, "p/q", true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_as_in_the_format),
        cmocka_unit_test(keys_sort_by_their_number),
        cmocka_unit_test(a_record_has_one_size),
        cmocka_unit_test(a_point_is_read_in_place),
        cmocka_unit_test(a_point_that_does_not_add_up_is_corrupt),
        cmocka_unit_test(formats_are_judged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
