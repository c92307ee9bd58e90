/* Live bits to the disk and back. */
#include "base/mem.h"
#include "store/live.h"
#include "support/check.h"

#include <stdlib.h>
#include <string.h>

enum { WORDS = BITMAP_CHUNK_WORDS };

static struct prng prng;

static void set_range(uint64_t *words, uint32_t count, bool set)
{
    for (uint32_t i = 0; i < count; i++)
        words[i / 64] = (words[i / 64] & ~(UINT64_C(1) << i % 64)) | (uint64_t)set << i % 64;
}

static bool get_bit(const uint64_t *words, size_t i)
{
    return words[i / 64] >> i % 64 & 1;
}

static uint32_t random_count(void)
{
    static const uint32_t edges[] = { 1, 63, 64, 65, 65535, 65536 };
    return test_below(&prng, 2) ? edges[test_below(&prng, 6)]
                                : 1 + (uint32_t)test_below(&prng, BITMAP_CHUNK_BITS);
}

/* Clears bits in one of several patterns. */
static void punch(uint64_t *words, uint32_t count)
{
    static const size_t steps[] = { 1, 2, 3, 100, 5000, SIZE_MAX };
    size_t step = steps[test_below(&prng, 6)], first = test_below(&prng, count);
    for (size_t i = first; i < count && step != SIZE_MAX; i += 1 + test_below(&prng, step))
        words[i / 64] &= ~(UINT64_C(1) << i % 64);
}

/* What stands behind the count says nothing before, and is dead afterwards. */
static void bits_come_back(void **state)
{
    (void)state;
    size_t before = mem_in_use();
    for (size_t round = 0; round < 120; round++) {
        static uint64_t words[WORDS], back[WORDS];
        size_t size = 0;
        uint32_t count = random_count();
        char *bytes = NULL;
        for (size_t i = 0; i < WORDS; i++) words[i] = back[i] = prng_next(&prng);
        set_range(words, count, true);
        punch(words, count);
        assert_ok(live_encode(words, count, &bytes, &size));
        assert_ok(live_decode((struct bytes){ bytes, size }, count, back));
        for (uint32_t i = 0; i < BITMAP_CHUNK_BITS; i++)
            if (get_bit(back, i) != (i < count && get_bit(words, i)))
                fail_msg("bit %u of %u", i, count);
        mem_free(&bytes);
    }
    assert_int_equal(mem_in_use(), before);
}

static void all_and_none_are_small(void **state)
{
    (void)state;
    for (int all = 0; all < 2; all++) {
        uint64_t words[WORDS], back[WORDS];
        char *bytes = NULL;
        size_t size = 0;
        memset(words, all ? 0xFF : 0, sizeof words);
        assert_ok(live_encode(words, BITMAP_CHUNK_BITS, &bytes, &size));
        assert_true(size < 64);
        assert_ok(live_decode((struct bytes){ bytes, size }, BITMAP_CHUNK_BITS, back));
        assert_memory_equal(back, words, sizeof back);
        mem_free(&bytes);
    }
}

static void what_does_not_fit_is_corrupt(void **state)
{
    (void)state;
    uint64_t words[WORDS] = { 0 }, back[WORDS];
    char *bytes = NULL;
    size_t size = 0;
    for (size_t i = 0; i < 5000; i++) words[i / 64] |= (uint64_t)(i % 3 != 0) << i % 64;
    assert_ok(live_encode(words, 5000, &bytes, &size));
    for (size_t cut = 0; cut < size; cut += 3 + cut) {
        char *part = allocate(cut, 1); /* the sanitizer watches its end */
        memcpy(part, bytes, cut);
        assert_err(WG_ECORRUPT, "", live_decode((struct bytes){ part, cut }, 5000, back));
        free(part);
    }
    assert_err(WG_ECORRUPT, "", live_decode((struct bytes){ bytes, size }, 4990, back));
    assert_err(WG_ECORRUPT, "", live_decode((struct bytes){ bytes, size }, 4999, back));
    assert_err(WG_ECORRUPT, "", live_decode((struct bytes){ "garbage.", 8 }, 5000, back));
    assert_ok(live_decode((struct bytes){ bytes, size }, 5001, back)); /* the last one is dead */
    assert_false(get_bit(back, 5000));
    mem_free(&bytes);
}

static void without_memory_nothing_is_left(void **state)
{
    (void)state;
    size_t before = mem_in_use(), request = 0;
    uint64_t words[WORDS], back[WORDS];
    memset(words, 0x7F, sizeof words);
    for (wg_err err = WG_ENOMEM; err != WG_OK;) {
        char *bytes = NULL;
        size_t size = 0;
        mem_fail_at(++request);
        err = live_encode(words, 1000, &bytes, &size);
        if (err == WG_OK) err = live_decode((struct bytes){ bytes, size }, 1000, back);
        mem_fail_at(0);
        assert_true(err == WG_OK || err == WG_ENOMEM);
        mem_free(&bytes);
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
        cmocka_unit_test(what_does_not_fit_is_corrupt),
        cmocka_unit_test(without_memory_nothing_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
