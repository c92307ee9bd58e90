#pragma once
/* JSON objects compared by what they say: the keys of the top level sorted, white space gone. Keys
 * without escapes, at most 32 of them; what the library returned is taken to be JSON otherwise. */
#include <stdbool.h>
#include <stddef.h>

/* False: text is not an object, or canonical has too little room. */
bool payload_canonical(const char *text, char *canonical, size_t room);
