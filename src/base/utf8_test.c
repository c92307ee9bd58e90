/* UTF-8: every character, and every way to be none. */
#include "base/utf8.h"
#include "support/check.h"

#include <string.h>

static size_t encode(uint32_t c, unsigned char *to)
{
    if (c < 0x80) return to[0] = (unsigned char)c, 1;
    size_t size = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i > 0; i--, c >>= 6) to[i] = (unsigned char)(0x80 | (c & 0x3F));
    to[0] = (unsigned char)((0xF00 >> size & 0xFF) | c);
    return size;
}

/* RFC 3629, section 4, rule by rule: how long the character at the start is; 0: none. */
static size_t character(const unsigned char *s, size_t size)
{
#define TAIL(i)           (s[i] >= 0x80 && s[i] <= 0xBF)
#define SECOND(low, high) (s[1] >= (low) && s[1] <= (high))
    if (size >= 1 && s[0] <= 0x7F) return 1;
    if (size >= 2 && s[0] >= 0xC2 && s[0] <= 0xDF && TAIL(1)) return 2;
    if (size >= 3 && TAIL(2)) {
        if (s[0] == 0xE0 && SECOND(0xA0, 0xBF)) return 3;
        if (((s[0] >= 0xE1 && s[0] <= 0xEC) || s[0] == 0xEE || s[0] == 0xEF) && TAIL(1)) return 3;
        if (s[0] == 0xED && SECOND(0x80, 0x9F)) return 3;
    }
    if (size >= 4 && TAIL(2) && TAIL(3)) {
        if (s[0] == 0xF0 && SECOND(0x90, 0xBF)) return 4;
        if (s[0] >= 0xF1 && s[0] <= 0xF3 && TAIL(1)) return 4;
        if (s[0] == 0xF4 && SECOND(0x80, 0x8F)) return 4;
    }
    return 0;
}

static size_t expected(const unsigned char *s, size_t size)
{
    size_t length = 0;
    for (size_t step; (step = character(s + length, size - length)) > 0;) length += step;
    return length;
}

static void check(const unsigned char *s, size_t size)
{
    size_t want = expected(s, size), got = utf8_length((const char *)s, size);
    if (got != want) fail_msg("%02x %02x .. of %zu: %zu, not %zu", s[0], s[1], size, got, want);
}

static void every_character_is_one(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x10FFFF; c++) {
        unsigned char s[8] = { 0 };
        size_t size = encode(c, s);
        bool surrogate = c >= 0xD800 && c <= 0xDFFF;
        assert_int_equal(utf8_length((char *)s, size), surrogate ? 0 : size);
        for (size_t cut = 1; cut < size; cut++) assert_int_equal(utf8_length((char *)s, cut), 0);
    }
}

static void every_short_sequence_is_judged(void **state)
{
    (void)state;
    static const unsigned char ends[] = { 0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F,
                                          0xA0, 0xBF, 0xC0, 0xC2, 0xE0, 0xF4, 0xFF };
    for (unsigned a = 0; a < 256; a++)
        for (unsigned b = 0; b < 256; b++)
            for (size_t i = 0; i < sizeof ends; i++)
                for (size_t j = 0; j < sizeof ends; j++) {
                    unsigned char s[] = { (unsigned char)a, (unsigned char)b, ends[i], ends[j] };
                    for (size_t size = 0; size <= 4; size++) check(s, size);
                }
}

static void whole_characters_are_counted(void **state)
{
    (void)state;
    struct prng prng = { test_seed() };
    for (size_t round = 0; round < 20000; round++) {
        unsigned char s[64];
        size_t size = 0;
        while (size < 60)
            size += encode((uint32_t)(prng_next(&prng) % 0x110000) >> (prng_next(&prng) % 21),
                           s + size);
        if (round % 2) s[test_below(&prng, size)] = (unsigned char)prng_next(&prng);
        check(s, test_below(&prng, size + 1));
    }
    assert_int_equal(utf8_length("", 0), 0);
    assert_int_equal(utf8_length("gr\xC3\xBC\xC3\x9F\xE2\x82", 8), 6);
    assert_int_equal(utf8_length("a\0b", 3), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_character_is_one),
        cmocka_unit_test(every_short_sequence_is_judged),
        cmocka_unit_test(whole_characters_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
