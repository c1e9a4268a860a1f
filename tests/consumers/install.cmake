# SPDX-License-Identifier: MIT
# Installs the libraries' components to PREFIX by way of another folder, which is gone afterwards.
# cmake -DBUILD=... -DPREFIX=... -P install.cmake
file(REMOVE_RECURSE ${PREFIX} ${PREFIX}-first)
foreach(component formats sim)
  execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${PREFIX}-first --component ${component}
    COMMAND_ERROR_IS_FATAL ANY)
endforeach()
file(RENAME ${PREFIX}-first ${PREFIX})
