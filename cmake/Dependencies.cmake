# What Waggle is built on. Every dependency is a package of the distribution; the line printed for
# each says what it is for, and the error for a missing one names the Debian package.
find_package(PkgConfig REQUIRED)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

# waggle_dependency(PREFIX LIBRARY HEADER PC PACKAGE PURPOSE) appends to <PREFIX>_INCLUDE_DIRS,
# <PREFIX>_LIBRARY_DIRS and <PREFIX>_LIBRARIES. Debian 12 ships roaring without a .pc file, so
# header and library are looked for by name, with what pkg-config knows as a hint.
function(waggle_dependency prefix library header pc package purpose)
  pkg_check_modules(PC_${library} QUIET ${pc})
  find_path(${library}_INCLUDE_DIR ${header} HINTS ${PC_${library}_INCLUDE_DIRS})
  find_library(${library}_LIBRARY ${library} HINTS ${PC_${library}_LIBRARY_DIRS})
  mark_as_advanced(${library}_INCLUDE_DIR ${library}_LIBRARY)
  if(NOT ${library}_INCLUDE_DIR OR NOT ${library}_LIBRARY)
    message(FATAL_ERROR "${library} is missing (<${header}> and lib${library}): ${purpose}. "
                        "On Debian and Ubuntu: apt install ${package}, or run tools/setup.")
  endif()
  string(STRIP "${pc} ${PC_${library}_VERSION}" found)
  message(STATUS "${found}: ${purpose}")

  cmake_path(GET ${library}_LIBRARY PARENT_PATH library_dir)
  set(include_dirs ${${prefix}_INCLUDE_DIRS} ${${library}_INCLUDE_DIR})
  list(REMOVE_ITEM include_dirs ${CMAKE_C_IMPLICIT_INCLUDE_DIRECTORIES})
  set(library_dirs ${${prefix}_LIBRARY_DIRS} ${library_dir})
  list(REMOVE_ITEM library_dirs ${CMAKE_C_IMPLICIT_LINK_DIRECTORIES})
  set(${prefix}_INCLUDE_DIRS ${include_dirs} PARENT_SCOPE)
  set(${prefix}_LIBRARY_DIRS ${library_dirs} PARENT_SCOPE)
  set(${prefix}_LIBRARIES ${${prefix}_LIBRARIES} ${library} PARENT_SCOPE)
endfunction()

waggle_dependency(WAGGLE lmdb lmdb.h lmdb liblmdb-dev
                  "what a store knows besides vectors, committed in one transaction")
waggle_dependency(WAGGLE roaring roaring/roaring.h roaring libroaring-dev
                  "which rows are live, as compressed bitmaps")
waggle_dependency(WAGGLE xxhash xxhash.h libxxhash libxxhash-dev
                  "hashes of batches and files")
waggle_dependency(WAGGLE json-c json-c/json.h json-c libjson-c-dev
                  "payloads: checking and merging JSON objects")
waggle_dependency(WAGGLE_CLI json-c json-c/json.h json-c libjson-c-dev
                  "JSON Lines and --json of the command line")
waggle_dependency(WAGGLE_CLI z zlib.h zlib zlib1g-dev
                  "reading .gz files, in the command line only")
if(WAGGLE_TESTS)
  waggle_dependency(WAGGLE_TEST cmocka cmocka.h cmocka libcmocka-dev "running unit tests")
endif()
list(APPEND WAGGLE_LIBRARIES Threads::Threads ${CMAKE_DL_LIBS} m)
