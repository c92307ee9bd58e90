/* As tests/fault_check.c, every call. */
#include "support/faults.h"

#include <stdint.h>

int main(int argc, char **argv)
{
    return faults_main(argc, argv, SIZE_MAX / 2);
}
