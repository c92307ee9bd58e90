#define _POSIX_C_SOURCE 200809L /* sigaction */
#include "cli/interrupt.h"

#include <signal.h>
#include <unistd.h>

static volatile sig_atomic_t requested;
static wg_cancel *cancel;

/* A signal ends a read that waits, but not one that begins a moment later: so it is followed by an
 * alarm each second. */
static void request(int signal_number)
{
    (void)signal_number;
    requested = 1;
    if (cancel) wg_cancel_request(cancel);
    alarm(1);
}

static void repeat(int signal_number)
{
    (void)signal_number;
    alarm(1);
}

/* Without SA_RESTART, so that a read from a silent pipe ends as well. */
void interrupt_install(void)
{
    struct sigaction action = { .sa_handler = request, .sa_flags = (int)SA_RESETHAND };
    struct sigaction again = { .sa_handler = repeat };
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    if (wg_cancel_create(&cancel) != WG_OK) cancel = NULL;
    sigemptyset(&action.sa_mask);
    sigemptyset(&again.sa_mask);
    sigemptyset(&ignore.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGALRM, &again, NULL);
    sigaction(SIGPIPE, &ignore, NULL); /* the write fails, and that is noticed */
}

bool interrupt_requested(void)
{
    return requested != 0;
}

const wg_cancel *interrupt_cancel(void)
{
    return cancel;
}

wg_err interrupt_check(void)
{
    return requested ? fail(WG_ECANCELLED, "interrupted") : WG_OK;
}
