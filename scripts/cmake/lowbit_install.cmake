# SPDX-License-Identifier: MIT
# Install rules: one component for each library (formats, sim, gpu) and one for the command.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(LOWBIT_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/lowbit)

# lowbit_public_library(TARGET COMPONENT): the headers below ./include are the target's public ones,
# and both are installed, so that find_package(lowbit COMPONENTS COMPONENT) gives lowbit::COMPONENT.
# The headers are a file set, because CMake then generates the test that each compiles alone.
function(lowbit_public_library target component)
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/include/*.hpp)
  target_sources(${target} PUBLIC FILE_SET HEADERS BASE_DIRS include FILES ${headers})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${component})
  if(NOT LOWBIT_INSTALL)
    return()
  endif()
  install(TARGETS ${target} EXPORT lowbit_${component}
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT ${component}
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT ${component}
    FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT ${component})
  install(EXPORT lowbit_${component} NAMESPACE lowbit:: FILE lowbit-${component}.cmake
    DESTINATION ${LOWBIT_CMAKE_DIR} COMPONENT ${component})
endfunction()

# lowbit_pkg_config(COMPONENT DESCRIPTION ... [REQUIRES ...] [LIBS ...]): lowbit-COMPONENT.pc. The
# libraries are static as a rule, so what they need is what their users need.
function(lowbit_pkg_config component)
  cmake_parse_arguments(ARG "" "DESCRIPTION;REQUIRES;LIBS" "" ${ARGN})
  if(NOT LOWBIT_INSTALL)
    return()
  endif()
  set(pc_component ${component})
  set(pc_description ${ARG_DESCRIPTION})
  set(pc_requires ${ARG_REQUIRES})
  set(pc_libs ${ARG_LIBS})
  cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_LIBDIR BASE_DIRECTORY ${CMAKE_INSTALL_PREFIX} OUTPUT_VARIABLE pc_libdir)
  cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_INCLUDEDIR BASE_DIRECTORY ${CMAKE_INSTALL_PREFIX} OUTPUT_VARIABLE pc_includedir)
  # Relative to the file itself, so that a prefix given to `cmake --install`, or moved, is right too.
  set(pc_folder ${pc_libdir}/pkgconfig)
  cmake_path(RELATIVE_PATH pc_libdir BASE_DIRECTORY ${pc_folder})
  cmake_path(RELATIVE_PATH pc_includedir BASE_DIRECTORY ${pc_folder})
  configure_file(${PROJECT_SOURCE_DIR}/scripts/cmake/lowbit.pc.in ${PROJECT_BINARY_DIR}/lowbit-${component}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/lowbit-${component}.pc
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT ${component})
endfunction()

if(LOWBIT_INSTALL)
  configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/lowbitConfig.cmake.in
    ${PROJECT_BINARY_DIR}/lowbitConfig.cmake INSTALL_DESTINATION ${LOWBIT_CMAKE_DIR})
  # Before 1.0 a minor version may change the interface.
  write_basic_package_version_file(${PROJECT_BINARY_DIR}/lowbitConfigVersion.cmake COMPATIBILITY SameMinorVersion)
  install(FILES ${PROJECT_BINARY_DIR}/lowbitConfig.cmake ${PROJECT_BINARY_DIR}/lowbitConfigVersion.cmake
    DESTINATION ${LOWBIT_CMAKE_DIR} COMPONENT formats)
endif()
