#pragma once
/* Numbers as people read them, and how far two words are apart. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for any of the texts below. Each writes into text and returns it. */
enum { TEXT_SIZE = 48 };

char *text_count(uint64_t count, char text[TEXT_SIZE]);         /* 60,000 */
char *text_bytes(uint64_t size_bytes, char text[TEXT_SIZE]);    /* 179.4 MiB */
char *text_rate(double per_second, char text[TEXT_SIZE]);       /* 49,000, or 3.7 below 100 */
char *text_seconds(double seconds, char text[TEXT_SIZE]);       /* 1.24 s, 35 ms, 2:05 min */
char *text_clock(double seconds, char text[TEXT_SIZE]);         /* 0:03, 1:02:03 */

/* "s" unless count is 1. */
const char *text_plural(uint64_t count);

/* Digits alone, at most 2^64 - 1. */
bool text_to_u64(const char *text, uint64_t *out);

/* Insertions, deletions, changes and swaps of neighbours that make one word the other. */
size_t text_distance(const char *a, const char *b);

/* The nearest of the words, when it is near enough to be meant; else NULL. Call it with each word
 * in turn: *best is NULL and *best_distance anything before the first. */
void text_suggest(const char *typed, const char *word, const char **best, size_t *best_distance);

/* Whether all of it is UTF-8, shortest forms and no surrogates: the C library's own reading. */
bool text_is_utf8(const char *text, size_t size);

/* Columns that a terminal needs to show UTF-8 text of characters one column wide. */
size_t text_width(const char *text);
/* Bytes that are shown in at most so many columns. */
size_t text_prefix(const char *text, size_t columns);
