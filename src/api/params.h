#pragma once
/* Public parameter structs: they begin with their size, so that a program built for an older header
 * passes a shorter one and a newer one is noticed. */
#include "base/err.h"

#include <stddef.h>

/* For an init: the defaults, as many as size holds, then the size. */
void params_fill(void *params, size_t size, const void *defaults, size_t defaults_size);

/* Lays what the caller gave over *known, which holds the defaults; given NULL: nothing. WG_EINVAL
 * for a struct that was not initialised, or is newer than this library. */
#define PARAMS_READ(given, known) params_read((given), (known), sizeof *(known), #given)
WG_CHECKED wg_err params_read(const void *given, void *known, size_t known_size, const char *what);

/* Copies *known into the caller's struct, as much as its size holds. */
#define PARAMS_WRITE(given, known) params_write((given), (known), sizeof *(known), #given)
WG_CHECKED wg_err params_write(void *given, const void *known, size_t known_size, const char *what);
