/* Live bits to the disk and back. */
#include "base/mem.h"
#include "store/live.h"
#include "support/check.h"

#include <stdlib.h>
#include <string.h>

static struct prng prng;

static uint32_t random_count(void)
{
    static const uint32_t edges[] = { 1, 63, 64, 65, 65535, 65536 };
    return test_below(&prng, 2) ? edges[test_below(&prng, 6)]
                                : 1 + (uint32_t)test_below(&prng, BITMAP_CHUNK_BITS);
}

/* Clears bits of the chunk in one of several patterns. */
static void punch(struct bitmap *live, size_t chunk, uint32_t count)
{
    static const size_t steps[] = { 1, 2, 3, 100, 5000, SIZE_MAX };
    size_t step = steps[test_below(&prng, 6)], first = test_below(&prng, count);
    for (size_t i = first; i < count && step != SIZE_MAX; i += 1 + test_below(&prng, step))
        assert_ok(bitmap_clear(live, chunk * BITMAP_CHUNK_BITS + i));
}

static void bits_come_back(void **state)
{
    (void)state;
    size_t before = mem_in_use();
    for (size_t round = 0; round < 120; round++) {
        size_t chunk = test_below(&prng, 3), size = 0;
        uint32_t count = random_count();
        uint64_t base = chunk * BITMAP_CHUNK_BITS;
        struct bitmap live = { 0 }, back = { 0 };
        char *bytes = NULL;
        assert_ok(bitmap_resize(&live, base + count));
        assert_ok(bitmap_resize(&back, base + count));
        punch(&live, chunk, count);
        if (chunk > 0) assert_ok(bitmap_clear(&live, base - 1)); /* of the chunk before */
        assert_ok(live_encode(&live, chunk, count, &bytes, &size));
        assert_ok(live_decode((struct bytes){ bytes, size }, chunk, count, &back));
        for (uint32_t i = 0; i < count; i++)
            if (bitmap_get(&live, base + i) != bitmap_get(&back, base + i))
                fail_msg("bit %u of %u", i, count);
        if (chunk > 0) assert_true(bitmap_get(&back, base - 1));
        mem_free(&bytes);
        bitmap_fini(&live);
        bitmap_fini(&back);
    }
    assert_int_equal(mem_in_use(), before);
}

static void all_and_none_are_small(void **state)
{
    (void)state;
    struct bitmap live = { 0 }, back = { 0 };
    char *bytes = NULL;
    size_t size = 0;
    assert_ok(bitmap_resize(&live, BITMAP_CHUNK_BITS));
    assert_ok(bitmap_resize(&back, BITMAP_CHUNK_BITS));
    assert_ok(live_encode(&live, 0, BITMAP_CHUNK_BITS, &bytes, &size));
    assert_true(size < 64);
    assert_ok(live_decode((struct bytes){ bytes, size }, 0, BITMAP_CHUNK_BITS, &back));
    assert_null(bitmap_words(&back, 0)); /* every bit set: no memory */
    mem_free(&bytes);
    for (size_t i = 0; i < BITMAP_CHUNK_BITS; i++) assert_ok(bitmap_clear(&live, i));
    assert_ok(live_encode(&live, 0, BITMAP_CHUNK_BITS, &bytes, &size));
    assert_true(size < 64);
    assert_ok(live_decode((struct bytes){ bytes, size }, 0, BITMAP_CHUNK_BITS, &back));
    assert_false(bitmap_any(&back, 0, BITMAP_CHUNK_BITS));
    mem_free(&bytes);
    bitmap_fini(&live);
    bitmap_fini(&back);
}

static void decoding_only_clears(void **state)
{
    (void)state;
    struct bitmap live = { 0 }, back = { 0 };
    char *bytes = NULL;
    size_t size = 0;
    assert_ok(bitmap_resize(&live, 1000));
    assert_ok(bitmap_resize(&back, 1000));
    assert_ok(bitmap_clear(&live, 10));
    assert_ok(bitmap_clear(&back, 20));
    assert_ok(live_encode(&live, 0, 1000, &bytes, &size));
    assert_ok(live_decode((struct bytes){ bytes, size }, 0, 1000, &back));
    assert_false(bitmap_get(&back, 10) || bitmap_get(&back, 20));
    assert_true(bitmap_get(&back, 11));
    mem_free(&bytes);
    bitmap_fini(&live);
    bitmap_fini(&back);
}

static void what_does_not_fit_is_corrupt(void **state)
{
    (void)state;
    struct bitmap live = { 0 }, back = { 0 };
    char *bytes = NULL;
    size_t size = 0;
    assert_ok(bitmap_resize(&live, 5000));
    assert_ok(bitmap_resize(&back, 5000));
    for (size_t i = 0; i < 5000; i += 3) assert_ok(bitmap_clear(&live, i));
    assert_ok(live_encode(&live, 0, 5000, &bytes, &size));
    for (size_t cut = 0; cut < size; cut += 3 + cut) {
        char *part = allocate(cut, 1); /* the sanitizer watches its end */
        memcpy(part, bytes, cut);
        assert_err(WG_ECORRUPT, "", live_decode((struct bytes){ part, cut }, 0, 5000, &back));
        free(part);
    }
    assert_err(WG_ECORRUPT, "", live_decode((struct bytes){ bytes, size }, 0, 4990, &back));
    assert_err(WG_ECORRUPT, "", live_decode((struct bytes){ "garbage.", 8 }, 0, 5000, &back));
    mem_free(&bytes);
    bitmap_fini(&live);
    bitmap_fini(&back);
}

static void without_memory_nothing_is_left(void **state)
{
    (void)state;
    size_t before = mem_in_use(), request = 0;
    for (wg_err err = WG_ENOMEM; err != WG_OK;) {
        struct bitmap live = { 0 }, back = { 0 };
        char *bytes = NULL;
        size_t size = 0;
        assert_ok(bitmap_resize(&live, 1000));
        assert_ok(bitmap_clear(&live, 9));
        assert_ok(bitmap_resize(&back, 1000));
        mem_fail_at(++request);
        err = live_encode(&live, 0, 1000, &bytes, &size);
        if (err == WG_OK) err = live_decode((struct bytes){ bytes, size }, 0, 1000, &back);
        mem_fail_at(0);
        assert_true(err == WG_OK || err == WG_ENOMEM);
        mem_free(&bytes);
        bitmap_fini(&live);
        bitmap_fini(&back);
        assert_int_equal(mem_in_use(), before);
    }
    assert_true(request > 1);
}

int main(void)
{
    prng.state = test_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits_come_back),
        cmocka_unit_test(all_and_none_are_small),
        cmocka_unit_test(decoding_only_clears),
        cmocka_unit_test(what_does_not_fit_is_corrupt),
        cmocka_unit_test(without_memory_nothing_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
