# SPDX-License-Identifier: MIT
# Verilator names its output files by hash: one file that includes them all, for one compilation.
# cmake -DDIR=... -DCLASS=... -DOUT=... -P one_source.cmake
file(GLOB sources RELATIVE ${DIR} ${DIR}/${CLASS}*.cpp)
list(SORT sources)
set(text "")
foreach(source IN LISTS sources)
  if(NOT source MATCHES "__all\\.cpp$")
    string(APPEND text "#include \"${source}\"\n")
  endif()
endforeach()
file(WRITE ${OUT} "${text}")
