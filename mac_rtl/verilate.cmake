# SPDX-License-Identifier: MIT
# lowbit::mac: the units compiled by Verilator, one translation unit each, behind
# sim/include/lowbit/sim/mac_simulator.hpp. Without Verilator the library has no units and says so.
find_program(LOWBIT_VERILATOR verilator)
find_path(LOWBIT_VERILATOR_INCLUDE verilated.h
  HINTS $ENV{VERILATOR_ROOT}/include /usr/share/verilator/include /usr/local/share/verilator/include)
find_path(LOWBIT_SYSTEMC_INCLUDE tlm.h)
find_library(LOWBIT_SYSTEMC_LIBRARY systemc)
option(LOWBIT_MAC_NATIVE "Compile the simulated units for this machine's processor" OFF)

set(mac_table "")
set(mac_declarations "")
add_library(lowbit_mac
  ${PROJECT_SOURCE_DIR}/sim/src/mac/compile.cpp
  ${PROJECT_SOURCE_DIR}/sim/src/mac/loaded_unit.cpp
  ${PROJECT_SOURCE_DIR}/sim/src/mac/simulator.cpp)
target_include_directories(lowbit_mac PRIVATE ${PROJECT_SOURCE_DIR}/sim/src ${CMAKE_CURRENT_SOURCE_DIR})
add_library(lowbit::mac ALIAS lowbit_mac)
target_link_libraries(lowbit_mac PUBLIC lowbit::sim
  PRIVATE $<BUILD_INTERFACE:lowbit_options> fmt::fmt Threads::Threads ${CMAKE_DL_LIBS})

set(mac_verilator OFF)
set(LOWBIT_MAC_SIMULATED OFF CACHE INTERNAL "Verilated units are built")
set(LOWBIT_MAC_SYSTEMC OFF CACHE INTERNAL "and their SystemC modules")
if(NOT LOWBIT_WITH_MAC)
  message(STATUS "MAC units: left out (LOWBIT_WITH_MAC=OFF)")
elseif(NOT LOWBIT_VERILATOR OR NOT LOWBIT_VERILATOR_INCLUDE)
  message(STATUS "MAC units: Verilator not found, simulated units are left out (Debian: apt install verilator)")
else()
  set(mac_verilator ON)
  set(LOWBIT_MAC_SIMULATED ON CACHE INTERNAL "")
  set(mac_systemc OFF)
  if(LOWBIT_SYSTEMC_INCLUDE AND LOWBIT_SYSTEMC_LIBRARY)
    set(mac_systemc ON)
    set(LOWBIT_MAC_SYSTEMC ON CACHE INTERNAL "")
    target_sources(lowbit_mac PRIVATE ${PROJECT_SOURCE_DIR}/sim/src/mac/child.cpp)
    target_link_libraries(lowbit_mac PRIVATE ${LOWBIT_SYSTEMC_LIBRARY})
  else()
    message(STATUS "MAC units: SystemC not found, that backend is left out (Debian: apt install libsystemc-dev)")
  endif()

  # Verilator's runtime once for all units (its own CMake function compiles it again for each).
  add_library(lowbit_verilated STATIC
    ${LOWBIT_VERILATOR_INCLUDE}/verilated.cpp
    ${LOWBIT_VERILATOR_INCLUDE}/verilated_threads.cpp
    ${LOWBIT_VERILATOR_INCLUDE}/verilated_vcd_c.cpp)
  target_include_directories(lowbit_verilated SYSTEM PUBLIC
    ${LOWBIT_VERILATOR_INCLUDE} ${LOWBIT_VERILATOR_INCLUDE}/vltstd)
  # A context carries the time, so nobody has to define sc_time_stamp().
  target_compile_definitions(lowbit_verilated PUBLIC
    VL_TIME_CONTEXT VM_COVERAGE=0 VM_TRACE=1 VM_TRACE_VCD=1 VM_TRACE_FST=0 VERILATOR=1)
  target_compile_options(lowbit_verilated PRIVATE -w)
  target_link_libraries(lowbit_verilated PUBLIC Threads::Threads)
  target_link_libraries(lowbit_mac PRIVATE lowbit_verilated)
endif()

# The number of a format in lowbit_formats.sv, the one table of the RTL.
function(lowbit_format_number format out)
  string(TOUPPER ${format} name)
  file(STRINGS ${PROJECT_SOURCE_DIR}/mac_rtl/lowbit_formats.sv line REGEX "localparam int ${name} =")
  if(NOT line MATCHES "= ([0-9]+)")
    message(FATAL_ERROR "mac_rtl/lowbit_formats.sv has no format ${name}")
  endif()
  set(${out} ${CMAKE_MATCH_1} PARENT_SCOPE)
endfunction()

# The width of the exact unit's accumulator, from the same table.
function(lowbit_accumulator_bits format out)
  lowbit_format_number(${format} number)
  file(STRINGS ${PROJECT_SOURCE_DIR}/mac_rtl/lowbit_formats.sv line REGEX " ${number}: accumulator_bits =")
  if(NOT line MATCHES "= ([0-9]+)")
    message(FATAL_ERROR "mac_rtl/lowbit_formats.sv has no accumulator width for ${format}")
  endif()
  set(${out} ${CMAKE_MATCH_1} PARENT_SCOPE)
endfunction()

# lowbit_verilate(CLASS DIR LANGUAGE TOP ARGUMENTS... ): DIR/CLASS__all.cpp from SystemVerilog sources
# (absolute paths and -G parameters), one file to compile.
function(lowbit_verilate class dir language top)
  set(sources ${ARGN})
  list(FILTER sources INCLUDE REGEX "\\.sv$")
  add_custom_command(OUTPUT ${dir}/${class}__all.cpp ${dir}/${class}.h
    # What other options left there would be compiled as well.
    COMMAND ${CMAKE_COMMAND} -E rm -rf ${dir}
    COMMAND ${LOWBIT_VERILATOR} ${language} -O3 --x-assign fast --x-initial fast --noassert --Mdir ${dir}
      --prefix ${class} --top-module ${top} ${ARGN}
    COMMAND ${CMAKE_COMMAND} -DDIR=${dir} -DCLASS=${class} -DOUT=${dir}/${class}__all.cpp
      -P ${PROJECT_SOURCE_DIR}/scripts/cmake/one_source.cmake
    DEPENDS ${sources} ${PROJECT_SOURCE_DIR}/scripts/cmake/one_source.cmake
    COMMENT "Verilator: ${class}" VERBATIM)
endfunction()

# lowbit_mac_unit(UNIT FORMAT LANES ACC_BITS [SYSTEMC] [FORMAT] [PARAMETERS -G...] SOURCES files...)
# compiles one unit; SYSTEMC: its SystemC module as well; FORMAT: the unit has that parameter.
function(lowbit_mac_unit unit format lanes acc_bits)
  cmake_parse_arguments(ARG "SYSTEMC;FORMAT" "" "PARAMETERS;SOURCES" ${ARGN})
  if(NOT mac_verilator)
    return()
  endif()
  list(TRANSFORM ARG_SOURCES PREPEND ${PROJECT_SOURCE_DIR}/mac_rtl/)
  if(ARG_FORMAT)
    lowbit_format_number(${format} number)
    list(APPEND ARG_PARAMETERS -GFORMAT=${number})
  endif()
  set(backends verilator)
  if(ARG_SYSTEMC AND mac_systemc)
    list(APPEND backends systemc)
  endif()
  foreach(backend IN LISTS backends)
    set(name ${unit}_${format}_${lanes}_${backend})
    set(class Vlowbit_${name})
    set(dir ${CMAKE_CURRENT_BINARY_DIR}/${name})
    set(all ${dir}/${class}__all.cpp)
    if(backend STREQUAL systemc)
      set(language --sc)
    else()
      # Signals in waveforms cannot be optimized away: below the core's parts they cost a third of the speed.
      set(language --cc --trace --trace-depth 3)
    endif()
    lowbit_verilate(${class} ${dir} "${language}" lowbit_mac_${unit}
      -GLANES=${lanes} ${ARG_PARAMETERS} ${ARG_SOURCES})
    set(LOWBIT_MAC_CLASS ${class})
    set(LOWBIT_MAC_RUN run_${name})
    set(LOWBIT_MAC_ACC_BITS ${acc_bits})
    set(LOWBIT_MAC_BACKEND ${backend})
    if(backend STREQUAL systemc)
      set(LOWBIT_MAC_DRIVER run_systemc)
    else()
      set(LOWBIT_MAC_DRIVER run_verilated)
    endif()
    set(source ${CMAKE_CURRENT_BINARY_DIR}/mac_${name}.cpp)
    configure_file(${PROJECT_SOURCE_DIR}/sim/src/mac/unit.cpp.in ${source} @ONLY)
    set_source_files_properties(${source} PROPERTIES OBJECT_DEPENDS ${all})
    add_library(lowbit_mac_${name} OBJECT ${source})
    target_include_directories(lowbit_mac_${name} PRIVATE ${PROJECT_SOURCE_DIR}/sim/src)
    target_include_directories(lowbit_mac_${name} SYSTEM PRIVATE ${dir})
    target_link_libraries(lowbit_mac_${name} PRIVATE lowbit_options lowbit::sim lowbit_verilated)
    # Generated code gains from -O3 in any build type but a debugging one.
    target_compile_options(lowbit_mac_${name} PRIVATE $<$<NOT:$<CONFIG:Debug>>:-O3> -g0
      $<$<BOOL:${LOWBIT_MAC_NATIVE}>:-march=native>)
    if(backend STREQUAL systemc)
      target_include_directories(lowbit_mac_${name} SYSTEM PRIVATE ${LOWBIT_SYSTEMC_INCLUDE})
      # The library exports its version symbol for C++17 only.
      target_compile_definitions(lowbit_mac_${name} PRIVATE VM_SC=1 SC_CPLUSPLUS=201703L)
    else()
      target_compile_definitions(lowbit_mac_${name} PRIVATE VM_SC=0)
    endif()
    target_sources(lowbit_mac PRIVATE $<TARGET_OBJECTS:lowbit_mac_${name}>)
    string(APPEND mac_declarations
      "MacRunStats run_${name}(const BeatStream&, std::span<const MacResult>, const MacRunOptions&);\n")
    string(APPEND mac_table
      "    {MacUnit::${unit}, \"${format}\", ${lanes}, MacBackend::${backend}, run_${name}},\n")
  endforeach()
  set(mac_declarations "${mac_declarations}" PARENT_SCOPE)
  set(mac_table "${mac_table}" PARENT_SCOPE)
endfunction()

# lowbit_mac_entry(UNIT:FORMAT:LANES[:systemc]) compiles one unit from UNIT_sources; an entry that
# is there already is left alone, one that no unit can be is refused.
function(lowbit_mac_entry entry)
  set(known "unit:format:lanes[:systemc], unit one of published, block_fp32, exact, gst, integer, bf16_fma, fp8_fp32, lut")
  if(NOT entry MATCHES "^(published|block_fp32|exact|gst|integer|bf16_fma|fp8_fp32|lut):([a-z0-9_]+):([0-9]+)(:systemc)?$")
    message(FATAL_ERROR "LOWBIT_MAC_UNITS: ${entry} is not ${known}")
  endif()
  set(unit ${CMAKE_MATCH_1})
  set(format ${CMAKE_MATCH_2})
  set(lanes ${CMAKE_MATCH_3})
  set(twice "")  # not `systemc`, which if() would take for this variable
  if(CMAKE_MATCH_4)
    set(twice SYSTEMC)
  endif()
  if(NOT lanes MATCHES "^(1|2|4|8|16|32|64)$" OR (unit STREQUAL gst AND NOT lanes EQUAL 64))
    message(FATAL_ERROR "LOWBIT_MAC_UNITS: ${entry}: lanes are a power of two from 1 to 64, for gst 64")
  endif()
  # As supports() of sim/src/mac/stream.cpp.
  if((unit STREQUAL published AND NOT format MATCHES "^(if4|nvfp4)(_bs8)?$")
      OR (unit STREQUAL gst AND NOT format MATCHES "^nvfp4(_bs8)?$")
      OR (unit STREQUAL block_fp32 AND format MATCHES "^mx")
      OR (unit STREQUAL integer AND NOT format MATCHES "^int[48]$")
      OR (unit STREQUAL bf16_fma AND NOT format STREQUAL bf16)
      OR (unit STREQUAL fp8_fp32 AND NOT format STREQUAL fp8_e4m3)
      OR (unit STREQUAL lut AND NOT format MATCHES "^int8_int[124]$"))
    message(FATAL_ERROR "LOWBIT_MAC_UNITS: ${entry}: unit ${unit} has no arithmetic for ${format}")
  endif()
  get_property(done GLOBAL PROPERTY lowbit_mac_entries)
  if("${unit}:${format}:${lanes}" IN_LIST done)
    return()
  endif()
  set_property(GLOBAL APPEND PROPERTY lowbit_mac_entries "${unit}:${format}:${lanes}")

  set(bits 0)
  set(parameters FORMAT)
  if(unit STREQUAL exact)
    lowbit_accumulator_bits(${format} bits)
  elseif(unit STREQUAL published)
    set(integers 0)
    if(format MATCHES "^if4")
      set(integers 1)
    endif()
    set(parameters PARAMETERS -GINTEGERS=1'b${integers})
  elseif(unit STREQUAL integer)
    set(bits 32)
    string(REGEX REPLACE "^int" "" width ${format})
    set(parameters PARAMETERS -GBITS=${width})
  elseif(unit STREQUAL lut)
    set(bits 32)
    string(REGEX REPLACE "^int8_int" "" width ${format})
    set(parameters PARAMETERS -GW_BITS=${width})
  elseif(unit MATCHES "^(gst|bf16_fma|fp8_fp32)$")
    set(parameters "")
  endif()
  lowbit_mac_unit(${unit} ${format} ${lanes} ${bits} ${twice} ${parameters} SOURCES ${${unit}_sources})
  set(mac_declarations "${mac_declarations}" PARENT_SCOPE)
  set(mac_table "${mac_table}" PARENT_SCOPE)
endfunction()

# Writes the table of what was compiled in; call once, after the units.
function(lowbit_mac_finish)
  if(mac_table STREQUAL "")
    set(body "std::span<const MacVariant> mac_variants() { return {}; }\n")
  else()
    set(body "namespace {\nconstexpr MacVariant table[] = {\n${mac_table}};\n}  // namespace\n\nstd::span<const MacVariant> mac_variants() { return table; }\n")
  endif()
  file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/mac_variants.cpp @ONLY CONTENT
"// Generated by mac_rtl/verilate.cmake.
#include \"lowbit/sim/mac_simulator.hpp\"

namespace lowbit::sim {

@mac_declarations@
@body@
}  // namespace lowbit::sim
")
  target_sources(lowbit_mac PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/mac_variants.cpp)
endfunction()
