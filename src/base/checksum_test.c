/* The checksums that files of format 1 hold, as numbers: they may never change. */
#include "base/checksum.h"
#include "support/check.h"

#include <string.h>

/* By the reference implementation of XXH3-64, over byte i = 7 i + 1, for three seeds. */
static const uint64_t seeds[] = { 0, 1, 0x123456789ABCDEF0 };
static const struct {
    size_t size;
    uint64_t sums[3];
} known[] = {
    { 0, { 0x2D06800538D394C2, 0x4DC5B0CC826F6703, 0x8AA56C2C3D8317F6 } },
    { 1, { 0xE12EF9D2EB86CEEB, 0x0E08A51C8536156C, 0x875D259B88ECF368 } },
    { 3, { 0x5C83885A0FB5D516, 0x97ACFD5701ABCBAD, 0x08585DC416926784 } },
    { 8, { 0x96CC97A6768FD7A9, 0x33857BDA8733699E, 0xEDF44520D1BEE8A4 } },
    { 16, { 0x913BD4A8038027A7, 0x565AF978E0B859BB, 0xF741CAC92C03752A } },
    { 128, { 0xC4399C7829D0628F, 0xE705A35575ED324C, 0x19E3D81866E9CC6B } },
    { 129, { 0x8433489056750B32, 0x298216CE16626944, 0x5285CBEA5291BCB0 } },
    { 241, { 0xBFF7215089202D8F, 0x4DB569223FFF2747, 0xC3F6E863892A6931 } },
    { 1000, { 0xB8B406A98622D913, 0xAC989C844F624EA4, 0xF00E79DF8164731E } },
};

static void they_are_xxh3(void **state)
{
    (void)state;
    unsigned char bytes[1001];
    for (size_t shift = 0; shift < 2; shift++) { /* any alignment */
        for (size_t i = 0; i < 1000; i++) bytes[i + shift] = (unsigned char)(i * 7 + 1);
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            for (size_t s = 0; s < 3; s++) {
                uint64_t sum = known[i].sums[s];
                assert_int_equal(checksum64(bytes + shift, known[i].size, seeds[s]), sum);
                assert_int_equal(checksum32(bytes + shift, known[i].size, seeds[s]), (uint32_t)sum);
            }
    }
}

static void one_flipped_bit_is_seen(void **state)
{
    (void)state;
    unsigned char bytes[300] = { 0 };
    for (size_t size = 1; size <= sizeof bytes; size += 37) {
        uint32_t sum = checksum32(bytes, size, 5);
        for (size_t bit = 0; bit < 8 * size; bit++) {
            bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
            assert_int_not_equal(checksum32(bytes, size, 5), sum);
            bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        }
        assert_int_not_equal(checksum32(bytes, size - 1, 5), sum);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_are_xxh3),
        cmocka_unit_test(one_flipped_bit_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
