# SPDX-License-Identifier: MIT
# What a project that fetches lowbit and links lowbit::formats compiles: the library's sources, and
# none of the models, the command, the tests, CUDA or Verilator.
# cmake -DSOURCE=... -DBUILD=... -DLOWBIT=... -DGENERATOR=... -DCXX=... -P check.cmake
execute_process(COMMAND ${CMAKE_COMMAND} -S ${SOURCE} -B ${BUILD} -G ${GENERATOR} -DCMAKE_CXX_COMPILER=${CXX}
  -DLOWBIT_SOURCE_DIR=${LOWBIT} COMMAND_ERROR_IS_FATAL ANY)
if(GENERATOR STREQUAL "Ninja")
  set(plan_only -t commands)  # its -n stops at the search for new files
else()
  set(plan_only -n)
endif()
execute_process(COMMAND ${CMAKE_COMMAND} --build ${BUILD} -- ${plan_only} OUTPUT_VARIABLE plan COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[^ \n]*lowbit_formats\\.dir[^ \n]*quantize\\.cpp\\.o" wanted "${plan}")
if(NOT wanted)
  message(FATAL_ERROR "the plan compiles no quantize.cpp:\n${plan}")
endif()
string(REGEX MATCHALL "[^\n]*(lowbit_sim|lowbit_gpu|lowbit_mac|lowbit_array|lowbit_gate_sim|Catch2|cli/|\\.cu\\.o|[Vv]erilat|nvcc)[^\n]*" unwanted "${plan}")
if(unwanted)
  message(FATAL_ERROR "not asked for, yet compiled:\n${unwanted}")
endif()
# Without a build: the options' defaults say the same of `install`.
file(GLOB_RECURSE rules ${BUILD}/cmake_install.cmake)
foreach(file IN LISTS rules)
  file(STRINGS ${file} lines REGEX "lowbitConfig|liblowbit")
  if(lines)
    message(FATAL_ERROR "${file} installs lowbit with a project that only uses it")
  endif()
endforeach()
