#pragma once
/* For the option tables: how vectors are stored, by its name, into an int, so that there is room
 * for none. */
#include "cli/error.h"
#include "waggle/knn.h"

#define TYPE_NAMES "f32, f16, u8 or bits"
enum { TYPE_NOT_GIVEN = -1 };

wg_err type_option_parse(const char *text, void *target);
