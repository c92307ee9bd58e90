/* As tests/crash_check.c, more of them. */
#include "support/crash.h"

int main(int argc, char **argv)
{
    return crash_main(argc, argv, 40000);
}
