#include "base/utf8.h"

#include <stdint.h>

/* Bytes of the character at text, 0 when it is none: table 3-7 of the Unicode standard. */
static size_t character_size(const uint8_t *text, size_t size)
{
    uint8_t lead = text[0], low = 0x80, high = 0xbf;
    if (lead < 0x80) return 1;
    size_t count = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || count > size) return 0;
    if (lead == 0xe0) low = 0xa0;
    if (lead == 0xed) high = 0x9f;
    if (lead == 0xf0) low = 0x90;
    if (lead == 0xf4) high = 0x8f;
    if (text[1] < low || text[1] > high) return 0;
    for (size_t i = 2; i < count; i++)
        if (text[i] < 0x80 || text[i] > 0xbf) return 0;
    return count;
}

size_t utf8_length(const char *text, size_t size)
{
    size_t done = 0;
    while (done < size) {
        size_t step = character_size((const uint8_t *)text + done, size - done);
        if (step == 0) break;
        done += step;
    }
    return done;
}
