# What `cmake --install` lays down: libraries, headers, pkg-config, a CMake package, the binary.
include(CMakePackageConfigHelpers)

install(TARGETS waggle waggle_static EXPORT WaggleTargets)
install(DIRECTORY include/waggle TYPE INCLUDE FILES_MATCHING PATTERN "*.h")
if(TARGET waggle_cli)
  install(TARGETS waggle_cli)
endif()
foreach(document LICENSE README.md CHANGELOG.md)
  install(FILES ${document} TYPE DOC OPTIONAL)
endforeach()

# For a static link pkg-config names the dependencies as flags, so that a program that links the
# shared library needs none of their .pc files.
set(private_libs)
foreach(dir ${WAGGLE_LIBRARY_DIRS})
  string(APPEND private_libs "-L${dir} ")
endforeach()
foreach(library ${WAGGLE_LIBRARIES})
  if(NOT library STREQUAL Threads::Threads)
    string(APPEND private_libs "-l${library} ")
  endif()
endforeach()
string(APPEND private_libs "-pthread")
file(RELATIVE_PATH PC_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" PC_PREFIX ${PC_PREFIX})
configure_file(cmake/waggle.pc.in waggle.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/waggle.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Waggle)
install(EXPORT WaggleTargets NAMESPACE Waggle:: DESTINATION ${package_dir})
configure_package_config_file(cmake/WaggleConfig.cmake.in WaggleConfig.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(WaggleConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/WaggleConfig.cmake
              ${PROJECT_BINARY_DIR}/WaggleConfigVersion.cmake DESTINATION ${package_dir})
