#pragma once
/* UTF-8 as RFC 3629 defines it: shortest forms, no surrogates, up to U+10FFFF. */
#include <stddef.h>

/* How many of the size bytes, from the first, are whole characters. */
size_t utf8_length(const char *text, size_t size);
