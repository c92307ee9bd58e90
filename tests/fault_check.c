/* Calls on a store's files fail: with EIO, ENOSPC, EMFILE, ENOMEM, a signal, a write of half, one
 * at a time and all from one on. Whatever is being done then returns an error or has happened, and
 * the store, opened again, is sound and holds what was acknowledged. Not every call: that is
 * tests/slow/fault_check.c. */
#include "support/faults.h"

int main(int argc, char **argv)
{
    return faults_main(argc, argv, 40);
}
