#include "cli/text.h"

#include "cli/terminal.h"

#include <errno.h>
#include <iconv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_MAX = 32 };

char *text_count(uint64_t count, char text[TEXT_SIZE])
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)count);
    size_t at = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) text[at++] = ',';
        text[at++] = digits[i];
    }
    text[at] = 0;
    return text;
}

char *text_bytes(uint64_t size_bytes, char text[TEXT_SIZE])
{
    static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    double size = (double)size_bytes;
    size_t unit = 0;
    for (; size >= 1024 && unit + 1 < sizeof units / sizeof *units; unit++) size /= 1024;
    snprintf(text, TEXT_SIZE, unit == 0 ? "%.0f %s" : "%.1f %s", size, units[unit]);
    return text;
}

char *text_rate(double per_second, char text[TEXT_SIZE])
{
    if (per_second >= 100) return text_count((uint64_t)(per_second + 0.5), text);
    snprintf(text, TEXT_SIZE, "%.1f", per_second);
    return text;
}

char *text_seconds(double seconds, char text[TEXT_SIZE])
{
    if (seconds < 0.001) {
        snprintf(text, TEXT_SIZE, "%.0f %s", seconds * 1e6, terminal_utf8() ? "µs" : "us");
    } else if (seconds < 0.1) {
        snprintf(text, TEXT_SIZE, "%.1f ms", seconds * 1e3);
    } else if (seconds < 1) {
        snprintf(text, TEXT_SIZE, "%.0f ms", seconds * 1e3);
    } else if (seconds < 60) {
        snprintf(text, TEXT_SIZE, "%.1f s", seconds);
    } else {
        char clock[TEXT_SIZE];
        snprintf(text, TEXT_SIZE, "%.30s min", text_clock(seconds, clock));
    }
    return text;
}

char *text_clock(double seconds, char text[TEXT_SIZE])
{
    double most = 99 * 3600.0;
    unsigned whole = (unsigned)((seconds < most ? seconds : most) + 0.5);
    if (whole < 3600)
        snprintf(text, TEXT_SIZE, "%u:%02u", whole / 60, whole % 60);
    else
        snprintf(text, TEXT_SIZE, "%u:%02u:%02u", whole / 3600, whole / 60 % 60, whole % 60);
    return text;
}

const char *text_plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

bool text_to_u64(const char *text, uint64_t *out)
{
    if (text[0] == 0 || text[strspn(text, "0123456789")] != 0) return false;
    errno = 0;
    unsigned long long value = strtoull(text, NULL, 10);
    if (errno != 0) return false;
    *out = value;
    return true;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Optimal string alignment, by the table of Wagner and Fischer. */
size_t text_distance(const char *a, const char *b)
{
    size_t cost[WORD_MAX + 1][WORD_MAX + 1];
    size_t a_size = strlen(a), b_size = strlen(b);
    if (a_size > WORD_MAX || b_size > WORD_MAX) return a_size > b_size ? a_size : b_size;
    for (size_t i = 0; i <= a_size; i++) cost[i][0] = i;
    for (size_t j = 0; j <= b_size; j++) cost[0][j] = j;
    for (size_t i = 1; i <= a_size; i++)
        for (size_t j = 1; j <= b_size; j++) {
            size_t change = cost[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            cost[i][j] = least(least(cost[i - 1][j], cost[i][j - 1]) + 1, change);
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped) cost[i][j] = least(cost[i][j], cost[i - 2][j - 2] + 1);
        }
    return cost[a_size][b_size];
}

void text_suggest(const char *typed, const char *word, const char **best, size_t *best_distance)
{
    size_t distance = text_distance(typed, word);
    size_t near = strlen(word) <= 4 ? 1 : 2;
    if (distance > near || (*best && distance >= *best_distance)) return;
    *best = word;
    *best_distance = distance;
}

bool text_is_utf8(const char *text, size_t size)
{
    iconv_t decoder = iconv_open("UTF-32", "UTF-8");
    if (decoder == (iconv_t)-1) return true; /* the library looks again */
    char *from = (char *)(uintptr_t)text; /* iconv does not write through it */
    bool fine = true;
    while (size > 0 && fine) {
        char decoded[4096], *to = decoded;
        size_t room = sizeof decoded;
        fine = iconv(decoder, &from, &size, &to, &room) != (size_t)-1 || errno == E2BIG;
    }
    iconv_close(decoder);
    return fine;
}

size_t text_width(const char *text)
{
    size_t width = 0;
    for (; *text; text++) width += (*text & 0xc0) != 0x80;
    return width;
}

size_t text_prefix(const char *text, size_t columns)
{
    size_t at = 0;
    for (; text[at]; at++)
        if ((text[at] & 0xc0) != 0x80 && columns-- == 0) break;
    return at;
}
