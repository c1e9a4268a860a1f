# SPDX-License-Identifier: MIT
# Fails unless GENERATOR prints exactly the file COMMITTED.
execute_process(COMMAND ${GENERATOR} OUTPUT_VARIABLE printed COMMAND_ERROR_IS_FATAL ANY)
file(READ ${COMMITTED} committed)
if(NOT printed STREQUAL committed)
  message(FATAL_ERROR "${COMMITTED} is stale: build the target lowbit_rtl_formats")
endif()
