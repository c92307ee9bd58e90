#pragma once
/* Ctrl-C and SIGTERM: a running search is cancelled, loops end after the batch in flight, and the
 * program closes the store and ends with exit code 130. A second signal kills; what has been
 * acknowledged is on disk even then. */
#include "cli/error.h"
#include "waggle/context.h"

void interrupt_install(void);
bool interrupt_requested(void);
const wg_cancel *interrupt_cancel(void); /* for the calls of the library */

/* WG_ECANCELLED, "interrupted", once a signal has come; else WG_OK. */
wg_err interrupt_check(void);
