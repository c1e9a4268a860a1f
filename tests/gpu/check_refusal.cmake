# SPDX-License-Identifier: MIT
# Without a device `lowbit gpu COMMAND` is one line on standard error, nothing on standard output, and exit code 5:
#   cmake -DLOWBIT=path -DCOMMAND=verify -P check_refusal.cmake
set(ENV{CUDA_VISIBLE_DEVICES} "")
execute_process(COMMAND ${LOWBIT} gpu ${COMMAND} RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE error)
if(NOT code EQUAL 5 OR NOT out STREQUAL "" OR NOT error MATCHES "^lowbit: no CUDA (driver|device) on this machine[^\n]*\n$")
  message(FATAL_ERROR "gpu ${COMMAND}: exit code ${code}, output '${out}', error '${error}'")
endif()
