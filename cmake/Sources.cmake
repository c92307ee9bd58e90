# Which file is what, by its place and name, so that adding a file is all it takes:
#   src/**/x.c         the library; src/kernel/x86 and src/kernel/arm on their processors only
#   cli/x.c            the binary
#   bench/x.c          a program of its own, linked with the library's inside
#   bench/preload/x.c  a library for LD_PRELOAD
#   **/x_test.c        a cmocka program      **/x_check.c   a plain one      **/x_fuzz.c   a fuzzer
#   tests/x.c          support that every test is linked with
set(TEST_NAME "_(test|check|fuzz)\\.c$")

file(GLOB_RECURSE WAGGLE_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/*.c)
file(GLOB_RECURSE WAGGLE_CLI_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/cli/*.c)
file(GLOB WAGGLE_BENCH_SOURCES CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/bench/*.c)
file(GLOB_RECURSE WAGGLE_TEST_SUPPORT CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/*.c)

set(WAGGLE_TEST_PROGRAMS ${WAGGLE_SOURCES} ${WAGGLE_CLI_SOURCES} ${WAGGLE_TEST_SUPPORT})
list(FILTER WAGGLE_TEST_PROGRAMS INCLUDE REGEX "${TEST_NAME}")
list(FILTER WAGGLE_SOURCES EXCLUDE REGEX "${TEST_NAME}")
list(FILTER WAGGLE_CLI_SOURCES EXCLUDE REGEX "${TEST_NAME}|/cli/main\\.c$")
list(FILTER WAGGLE_TEST_SUPPORT EXCLUDE REGEX "${TEST_NAME}")

if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
  list(FILTER WAGGLE_SOURCES EXCLUDE REGEX "/src/kernel/x86/")
endif()
if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  list(FILTER WAGGLE_SOURCES EXCLUDE REGEX "/src/kernel/arm/")
endif()

set(WAGGLE_AVX2_SOURCES ${WAGGLE_SOURCES})
list(FILTER WAGGLE_AVX2_SOURCES INCLUDE REGEX "/src/kernel/x86/avx2[^/]*$")
set(WAGGLE_AVXVNNI_SOURCES ${WAGGLE_SOURCES})
list(FILTER WAGGLE_AVXVNNI_SOURCES INCLUDE REGEX "/src/kernel/x86/avxvnni[^/]*$")
set(WAGGLE_AVX512_SOURCES ${WAGGLE_SOURCES})
list(FILTER WAGGLE_AVX512_SOURCES INCLUDE REGEX "/src/kernel/x86/avx512[^/]*$")
set(WAGGLE_VNNI_SOURCES ${WAGGLE_SOURCES})
list(FILTER WAGGLE_VNNI_SOURCES INCLUDE REGEX "/src/kernel/x86/vnni[^/]*$")
set(WAGGLE_AMX_SOURCES ${WAGGLE_SOURCES})
list(FILTER WAGGLE_AMX_SOURCES INCLUDE REGEX "/src/kernel/x86/amx[^/]*$")
set(WAGGLE_NEONDOT_SOURCES ${WAGGLE_SOURCES})
list(FILTER WAGGLE_NEONDOT_SOURCES INCLUDE REGEX "/src/kernel/arm/neondot[^/]*$")
set(WAGGLE_NEONI8MM_SOURCES ${WAGGLE_SOURCES})
list(FILTER WAGGLE_NEONI8MM_SOURCES INCLUDE REGEX "/src/kernel/arm/neoni8mm[^/]*$")
