# Tests by their names (see Sources.cmake), plus scripts: tests/x_test.sh and tests/x_test.py, also
# in cli/ and bench/. A name that ends in _slow_test, or a file in a folder `slow`, has the label
# slow. A script or an x_check that cannot run here says why and exits with 77.
set(FUZZ_SECONDS 20 CACHE STRING "How long each fuzzer runs under libFuzzer")

set(instrumented ${WAGGLE_SANITIZE})
if(WAGGLE_COVERAGE)
  set(instrumented coverage)
endif()

set(preload_files ${PROJECT_BINARY_DIR}/test/libfiles.so)

# What a test may want to know, in its environment.
set(TEST_ENVIRONMENT
  WAGGLE=${PROJECT_BINARY_DIR}/waggle            # the binary
  WAGGLE_LIB=${PROJECT_BINARY_DIR}/libwaggle.so
  WAGGLE_SOURCE=${PROJECT_SOURCE_DIR}
  WAGGLE_BUILD=${PROJECT_BINARY_DIR}
  WAGGLE_INSTRUMENTED=${instrumented}            # sanitizers or "coverage"; empty: none
  WAGGLE_PRELOAD_FILES=${preload_files}          # tests/preload/files.h
  ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1:allocator_may_return_null=1
  UBSAN_OPTIONS=print_stacktrace=1
  TSAN_OPTIONS=allocator_may_return_null=1:second_deadlock_stack=1
  PYTHONDONTWRITEBYTECODE=1)

# Sanitizers take up to twenty times as long.
set(TEST_SECONDS_MAX 300)
if(instrumented)
  set(TEST_SECONDS_MAX 1200)
endif()

# "src/base/err_test.c" is the test base/err_test.
function(test_name source out)
  cmake_path(RELATIVE_PATH source BASE_DIRECTORY ${PROJECT_SOURCE_DIR} OUTPUT_VARIABLE name)
  string(REGEX REPLACE "^src/|\\.[a-z]+$" "" name ${name})
  set(${out} ${name} PARENT_SCOPE)
endfunction()

function(describe_test name)
  set_tests_properties(${name} PROPERTIES ENVIRONMENT "${TEST_ENVIRONMENT}"
    TIMEOUT ${TEST_SECONDS_MAX})
  if(name MATCHES "_slow_test$|(^|/)slow/")
    set_tests_properties(${name} PROPERTIES LABELS slow TIMEOUT 1800)
  endif()
  if(name MATCHES "_check$" OR "${ARGV1}" STREQUAL "script")
    set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77)
  endif()
endfunction()

# Loaded before everything else, also into programs with sanitizers: without any itself.
file(GLOB preload_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/preload/*.c)
list(FILTER WAGGLE_TEST_SUPPORT EXCLUDE REGEX "/tests/preload/")
add_library(waggle_preload_files MODULE ${preload_sources})
target_compile_definitions(waggle_preload_files PRIVATE _GNU_SOURCE=)
target_compile_options(waggle_preload_files PRIVATE -fno-sanitize=all -U_FORTIFY_SOURCE)
target_link_options(waggle_preload_files PRIVATE -fno-sanitize=all)
target_include_directories(waggle_preload_files PRIVATE tests)
set_target_properties(waggle_preload_files PROPERTIES
  OUTPUT_NAME files C_VISIBILITY_PRESET default LIBRARY_OUTPUT_DIRECTORY
  ${PROJECT_BINARY_DIR}/test)

if(WAGGLE_TEST_SUPPORT)
  add_library(waggle_test_support STATIC ${WAGGLE_TEST_SUPPORT})
  target_compile_definitions(waggle_test_support PRIVATE _GNU_SOURCE=)
  target_include_directories(waggle_test_support
    PRIVATE ${PROJECT_SOURCE_DIR} src tests include ${WAGGLE_INCLUDE_DIRS}
            ${WAGGLE_TEST_INCLUDE_DIRS})
endif()

function(add_test_program source)
  test_name(${source} name)
  string(REPLACE "/" "_" target ${name})
  add_executable(${target} ${source})
  set_target_properties(${target} PROPERTIES
    C_EXTENSIONS ON RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/test)
  target_compile_definitions(${target} PRIVATE _GNU_SOURCE=)
  target_include_directories(${target}
    PRIVATE ${PROJECT_SOURCE_DIR} src tests ${WAGGLE_INCLUDE_DIRS} ${WAGGLE_TEST_INCLUDE_DIRS})
  target_link_directories(${target} PRIVATE ${WAGGLE_TEST_LIBRARY_DIRS})
  if(TARGET waggle_test_support)
    target_link_libraries(${target} PRIVATE waggle_test_support)
  endif()
  add_dependencies(${target} waggle_preload_files)
  if(source MATCHES "/cli/" OR (source MATCHES "/tests/cli" AND TARGET waggle_commands))
    target_link_libraries(${target} PRIVATE waggle_commands)
  endif()
  target_link_libraries(${target} PRIVATE waggle_static ${WAGGLE_TEST_LIBRARIES})

  set(arguments)
  if(source MATCHES "_fuzz\\.c$")
    if(WAGGLE_FUZZ)
      target_link_options(${target} PRIVATE -fsanitize=fuzzer)
      set(found ${PROJECT_BINARY_DIR}/corpus/${target}) # what it finds goes here, seeds stay
      file(MAKE_DIRECTORY ${found})
      set(arguments -max_total_time=${FUZZ_SECONDS} -print_final_stats=1 ${found})
    else()
      target_sources(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tools/fuzz_main.c)
    endif()
    string(REGEX REPLACE "\\.c$" "" corpus ${source})
    if(IS_DIRECTORY ${corpus})
      list(APPEND arguments ${corpus})
    endif()
  endif()
  add_test(NAME ${name} COMMAND ${target} ${arguments})
  describe_test(${name})
endfunction()

foreach(source ${WAGGLE_TEST_PROGRAMS})
  add_test_program(${source})
endforeach()

# --- scripts ---
find_program(PYTHON3 python3 REQUIRED)
file(GLOB scripts CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/*/*_test.sh
     ${PROJECT_SOURCE_DIR}/*/*_test.py ${PROJECT_SOURCE_DIR}/tests/slow/*_test.*)
list(FILTER scripts INCLUDE REGEX "\\.(sh|py)$")
list(REMOVE_DUPLICATES scripts)
foreach(script ${scripts})
  test_name(${script} name)
  if(script MATCHES "\\.py$")
    add_test(NAME ${name} COMMAND ${PYTHON3} ${script})
  else()
    add_test(NAME ${name} COMMAND sh ${script})
  endif()
  describe_test(${name} script)
endforeach()

# --- the text of the project: once is enough, so not in every kind of build ---
if(NOT WAGGLE_SANITIZE AND NOT WAGGLE_COVERAGE AND NOT WAGGLE_FUZZ)
  add_test(NAME tidy COMMAND ${PYTHON3} ${PROJECT_SOURCE_DIR}/tools/tidy.py ${PROJECT_SOURCE_DIR})
  add_test(NAME tidy_self_test COMMAND ${PYTHON3} ${PROJECT_SOURCE_DIR}/tools/tidy.py --self-test)
  add_test(NAME format COMMAND ${PROJECT_SOURCE_DIR}/tools/format --check)
  set_tests_properties(format PROPERTIES SKIP_RETURN_CODE 77)
endif()
