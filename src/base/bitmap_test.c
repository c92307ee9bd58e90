/* Bitmaps against an array of bools; what is shared is not written. */
#include "base/bitmap.h"
#include "base/mem.h"
#include "support/check.h"

#include <stdlib.h>
#include <string.h>

enum { BITS = 3 * BITMAP_CHUNK_BITS + 1234, CHUNKS = 4 };

static struct prng prng;

static void assert_equals(const struct bitmap *bitmap, const bool *model, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (bitmap_get(bitmap, i) != model[i]) fail_msg("bit %zu is %d", i, !model[i]);
    for (size_t c = 0; c * BITMAP_CHUNK_BITS < count; c++) {
        const uint64_t *words = bitmap_words(bitmap, c);
        for (size_t i = 0; words && i < BITMAP_CHUNK_BITS; i += 1 + i / 7) {
            size_t bit = c * BITMAP_CHUNK_BITS + i;
            bool want = bit >= count || model[bit];
            assert_int_equal(words[i / 64] >> i % 64 & 1, want);
        }
    }
}

static void it_begins_with_every_bit_set(void **state)
{
    (void)state;
    size_t before = mem_in_use();
    struct bitmap bitmap = { 0 };
    assert_true(bitmap_get(&bitmap, 0));
    assert_true(bitmap_get(&bitmap, BITS));
    assert_int_equal(bitmap_count(&bitmap, 5, 1000), 1000);
    assert_ok(bitmap_resize(&bitmap, BITS));
    assert_int_equal(bitmap.chunk_count, CHUNKS);
    for (size_t c = 0; c < CHUNKS + 3; c++) assert_null(bitmap_words(&bitmap, c));
    bitmap_fini(&bitmap);
    bitmap_fini(&bitmap);
    assert_int_equal(mem_in_use(), before);
}

static void a_cleared_bit_is_clear_alone(void **state)
{
    (void)state;
    static const uint64_t bits[] = { 0, 63, 64, 65535, 65536, 65537, 131071, BITS - 1 };
    bool *model = allocate(BITS, 1);
    memset(model, true, BITS);
    struct bitmap bitmap = { 0 };
    assert_ok(bitmap_resize(&bitmap, BITS));
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++) {
        assert_ok(bitmap_clear(&bitmap, bits[i]));
        assert_ok(bitmap_clear(&bitmap, bits[i])); /* again */
        model[bits[i]] = false;
        assert_equals(&bitmap, model, BITS);
    }
    assert_null(bitmap_words(&bitmap, 2)); /* untouched: no memory */
    assert_non_null(bitmap_words(&bitmap, 3));
    bitmap_fini(&bitmap);
    free(model);
}

static bool model_get(const bool *model, size_t bit)
{
    return bit >= BITS || model[bit];
}

static size_t model_count(const bool *model, size_t first, size_t count)
{
    size_t sum = 0;
    for (size_t i = first; i < first + count; i++) sum += model_get(model, i);
    return sum;
}

static size_t model_next(const bool *model, size_t first, size_t end)
{
    while (first < end && !model_get(model, first)) first++;
    return first < end ? first : end;
}

static void counting_and_the_next_one(void **state)
{
    (void)state;
    bool *model = allocate(BITS, 1);
    struct bitmap bitmap = { 0 };
    assert_ok(bitmap_resize(&bitmap, BITS));
    for (size_t i = 0; i < BITS; i++) {
        model[i] = i == 70 || i == 65535 || i == 140000 || (i > 66000 && i % 9001 == 0) ||
                   i / BITMAP_CHUNK_BITS == 2;
        if (!model[i]) assert_ok(bitmap_clear(&bitmap, i));
    }
    assert_equals(&bitmap, model, BITS);
    size_t found = 0, tried = 20000;
    for (size_t t = 0; t < tried; t++) {
        size_t first = test_below(&prng, BITS + 100);
        size_t count = test_below(&prng, t % 3 == 0 ? 70 : t % 3 == 1 ? 9000 : 80000);
        if (t % 5 == 0) first = 71 - t % 3;
        size_t want = model_count(model, first, count);
        size_t next = model_next(model, first, first + count);
        if (bitmap_count(&bitmap, first, count) != want)
            fail_msg("%zu bits from %zu on: not %zu are set", count, first, want);
        if (bitmap_next(&bitmap, first, first + count) != next)
            fail_msg("the first of %zu bits from %zu on is not %zu", count, first, next);
        found += want > 0;
    }
    assert_true(found > tried / 20 && found < tried - tried / 20);
    assert_int_equal(bitmap_count(&bitmap, 70, 0), 0);
    assert_int_equal(bitmap_next(&bitmap, 70, 70), 70);
    assert_int_equal(bitmap_next(&bitmap, 80, 75), 75);
    bitmap_fini(&bitmap);
    free(model);
}

static void growing_keeps_and_sets(void **state)
{
    (void)state;
    bool *model = allocate(BITS, 1);
    memset(model, true, BITS);
    struct bitmap bitmap = { 0 };
    size_t size = 0;
    while (size < BITS) {
        size += 1 + test_below(&prng, 30000);
        if (size > BITS) size = BITS;
        assert_ok(bitmap_resize(&bitmap, size));
        for (size_t i = 0; i < 50; i++) {
            size_t bit = i % 2 ? test_below(&prng, size) : size - 1 - i;
            if (bit >= size) continue;
            assert_ok(bitmap_clear(&bitmap, bit));
            model[bit] = false;
        }
        assert_equals(&bitmap, model, BITS);
    }
    bitmap_fini(&bitmap);
    free(model);
}

static void what_is_shared_is_copied_when_written(void **state)
{
    (void)state;
    size_t before = mem_in_use();
    bool *models[3];
    struct bitmap bitmaps[3] = { { 0 } };
    for (size_t b = 0; b < 3; b++) models[b] = allocate(BITS, 1);
    memset(models[0], true, BITS);
    assert_ok(bitmap_resize(&bitmaps[0], BITS));
    for (size_t i = 0; i < BITS; i += 997) {
        if (i / BITMAP_CHUNK_BITS == 1) continue;
        assert_ok(bitmap_clear(&bitmaps[0], i));
        models[0][i] = false;
    }
    for (size_t b = 1; b < 3; b++) {
        assert_ok(bitmap_share(&bitmaps[b - 1], &bitmaps[b]));
        memcpy(models[b], models[b - 1], BITS);
        assert_ptr_equal(bitmap_words(&bitmaps[b], 2), bitmap_words(&bitmaps[b - 1], 2));
        for (size_t i = b; i < BITS; i += 4001) {
            if (i / BITMAP_CHUNK_BITS == 2) continue;
            assert_ok(bitmap_clear(&bitmaps[b], i));
            models[b][i] = false;
        }
    }
    for (size_t b = 0; b < 3; b++) assert_equals(&bitmaps[b], models[b], BITS);
    assert_ptr_equal(bitmap_words(&bitmaps[2], 2), bitmap_words(&bitmaps[0], 2));
    bitmap_fini(&bitmaps[0]);
    assert_equals(&bitmaps[1], models[1], BITS);
    assert_ok(bitmap_resize(&bitmaps[1], BITS + BITMAP_CHUNK_BITS));
    assert_equals(&bitmaps[2], models[2], BITS);
    bitmap_fini(&bitmaps[2]);
    bitmap_fini(&bitmaps[1]);
    for (size_t b = 0; b < 3; b++) free(models[b]);
    assert_int_equal(mem_in_use(), before);
}

static wg_err share_and_clear(const struct bitmap *from, uint64_t bit, struct bitmap *out)
{
    wg_err err = bitmap_share(from, out);
    if (err == WG_OK) err = bitmap_resize(out, BITS + 2 * BITMAP_CHUNK_BITS);
    if (err == WG_OK) err = bitmap_clear(out, bit);
    if (err == WG_OK) err = bitmap_clear(out, 2 * BITMAP_CHUNK_BITS);
    return err;
}

static void an_allocation_that_fails_changes_nothing(void **state)
{
    (void)state;
    size_t before = mem_in_use();
    struct bitmap from = { 0 };
    assert_ok(bitmap_resize(&from, BITS));
    assert_ok(bitmap_clear(&from, 100));
    size_t held = mem_in_use(), request = 0;
    for (wg_err err = WG_ENOMEM; err != WG_OK;) {
        struct bitmap copy = { 0 };
        mem_fail_at(++request);
        err = share_and_clear(&from, 7, &copy);
        mem_fail_at(0);
        assert_true(err == WG_OK || err == WG_ENOMEM);
        assert_true(bitmap_get(&from, 7) && !bitmap_get(&from, 100));
        if (err != WG_OK) assert_true(bitmap_get(&copy, 2 * BITMAP_CHUNK_BITS));
        bitmap_fini(&copy);
        assert_int_equal(mem_in_use(), held);
    }
    assert_true(request > 2);
    bitmap_fini(&from);
    assert_int_equal(mem_in_use(), before);
}

int main(void)
{
    prng.state = test_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_begins_with_every_bit_set),
        cmocka_unit_test(a_cleared_bit_is_clear_alone),
        cmocka_unit_test(counting_and_the_next_one),
        cmocka_unit_test(growing_keeps_and_sets),
        cmocka_unit_test(what_is_shared_is_copied_when_written),
        cmocka_unit_test(an_allocation_that_fails_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
