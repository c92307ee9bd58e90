#pragma once
/* How a command fails: a code, a sentence, and sometimes a hint at what to do. One failure is kept,
 * the latest; main prints it. Only the main thread fails. */
#include "waggle/error.h"

#include <stdbool.h>

#define CLI_PRINTF(format_at, first_at) __attribute__((format(printf, format_at, first_at)))

enum {
    EXIT_OK = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_NOT_FOUND = 3,
    EXIT_BUSY = 4,
    EXIT_CORRUPT = 5,
    EXIT_NO_SPACE = 6,
    EXIT_INTERRUPTED = 130
};

/* Records the failure and returns err. An argument may be fail_message() itself. */
wg_err fail(wg_err err, const char *format, ...) CLI_PRINTF(2, 3);
/* Takes over the message of a call of the library that returned err, and returns err. */
wg_err fail_library(wg_err err);
/* errno as a failure: "what: text of errno". */
wg_err fail_errno(int error, const char *what);
/* Adds a hint to the latest failure, and returns err. */
wg_err fail_hint(wg_err err, const char *format, ...) CLI_PRINTF(2, 3);
/* The command's output has said all there is to say: nothing is printed, this is the exit code. */
wg_err fail_silently(int exit_code);

const char *fail_message(void);
const char *fail_hint_text(void); /* "" when there is none */

/* Prints the latest failure on standard error, as text or as a JSON document. */
void fail_print(const char *program, bool json, wg_err err);
int fail_exit_code(wg_err err);

/* For functions that end in `out:` and have a variable err. */
#define TRY(call)                              \
    do {                                       \
        if ((err = (call)) != WG_OK) goto out; \
    } while (0)

/* The same for calls of the library, whose message is taken over. */
#define TRY_WG(call)                   \
    do {                               \
        if ((err = (call)) != WG_OK) { \
            fail_library(err);         \
            goto out;                  \
        }                              \
    } while (0)
