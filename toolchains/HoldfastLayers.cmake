# SPDX-License-Identifier: Apache-2.0
# Layers: who may use whom, and with which flags everything of ours is compiled.
#
#   holdfast_layer(NAME store MAY_USE base hal USES base hal DEPS deps::sqlite SOURCES a.cc b.cc)
#
# makes the static library holdfast::store. MAY_USE is the rule (it stands beside the folder it
# rules), USES is what is linked; using more than the rule allows stops the configure step.

add_library(holdfast_flags INTERFACE)
target_compile_options(holdfast_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Wcast-align -Wunused
  -Woverloaded-virtual -Wnull-dereference -Wimplicit-fallthrough -Wformat=2
  # GCC 12 warns of overlapping copies inside std::string's own operator+ (GCC bug 105651).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
  $<$<BOOL:${HOLDFAST_WERROR}>:-Werror>
  -ffunction-sections -fdata-sections -fstack-protector-strong
  -fmacro-prefix-map=${CMAKE_SOURCE_DIR}/=)
target_link_options(holdfast_flags INTERFACE -Wl,--gc-sections -Wl,-z,relro -Wl,-z,now)
# -Wnull-dereference sees phantoms through inlined sanitizer checks (GCC 12). The vptr check needs the
# RTTI that device code does not have.
if(HOLDFAST_SANITIZE)
  target_compile_options(holdfast_flags INTERFACE
    -fsanitize=address,undefined -fno-sanitize=vptr -fno-sanitize-recover=all
    -fno-omit-frame-pointer -Wno-null-dereference)
  target_link_options(holdfast_flags INTERFACE -fsanitize=address,undefined)
elseif(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  target_compile_options(holdfast_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
# What ships to a device: no exceptions, no RTTI. The server stands on Boost and keeps both.
add_library(holdfast_device_flags INTERFACE)
target_compile_options(holdfast_device_flags INTERFACE -fno-exceptions -fno-rtti)

function(holdfast_layer)
  cmake_parse_arguments(L "EXCEPTIONS" "NAME" "MAY_USE;USES;DEPS;PRIVATE_DEPS;SOURCES" ${ARGN})
  foreach(used IN LISTS L_USES)
    if(NOT used IN_LIST L_MAY_USE)
      message(FATAL_ERROR "layering: ${L_NAME} may not use ${used} (allowed: ${L_MAY_USE})")
    endif()
  endforeach()
  add_library(holdfast_${L_NAME} STATIC ${L_SOURCES})
  add_library(holdfast::${L_NAME} ALIAS holdfast_${L_NAME})
  target_include_directories(holdfast_${L_NAME} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(holdfast_${L_NAME} PRIVATE holdfast_flags)
  if(NOT L_EXCEPTIONS)
    target_link_libraries(holdfast_${L_NAME} PRIVATE holdfast_device_flags)
  endif()
  foreach(used IN LISTS L_USES)
    target_link_libraries(holdfast_${L_NAME} PUBLIC holdfast::${used})
  endforeach()
  target_link_libraries(holdfast_${L_NAME} PUBLIC ${L_DEPS} PRIVATE ${L_PRIVATE_DEPS})
  holdfast_check_includes(${L_NAME} "${L_MAY_USE}" "${L_SOURCES}")
endfunction()

# The link graph cannot see a header that is included without its library, so the #include lines
# are read as well: a folder may include its own headers and those of the layers it may use.
function(holdfast_check_includes name may_use sources)
  set(folders_base hal/base)
  set(folders_hal hal/base hal/[a-z_]+\\.h)
  set(folders_hal_linux hal/linux)
  set(folders_hal_sim hal/sim)
  set(folders_store store)
  set(folders_wire transport/wire)
  set(folders_transport transport/[a-z_]+\\.h)
  set(folders_tls transport/tls)
  set(folders_https transport/https)
  set(folders_coap transport/coap)
  set(folders_transport_sim transport/sim)
  set(folders_config config)
  set(folders_agent agent/cli)
  set(folders_sync agent/sync)
  set(folders_platform agent/platform)
  set(folders_memory_hooks agent/platform)
  set(folders_settings agent/settings)
  set(folders_client agent/client)
  set(folders_server server)
  set(allowed ${folders_${name}})
  foreach(layer IN LISTS may_use)
    list(APPEND allowed ${folders_${layer}})
  endforeach()
  list(JOIN allowed "|" pattern)
  foreach(source IN LISTS sources)
    string(REGEX REPLACE "\\.cc$" ".h" header ${source})
    foreach(file IN ITEMS ${source} ${header})
      if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${file})
        continue()
      endif()
      file(STRINGS ${CMAKE_CURRENT_SOURCE_DIR}/${file} lines
           REGEX "^#include \"(hal|store|transport|config|agent|server)/")
      foreach(line IN LISTS lines)
        string(REGEX REPLACE "^#include \"([^\"]+)\".*" "\\1" included "${line}")
        if(NOT included MATCHES "^(${pattern})")
          message(FATAL_ERROR "layering: ${name} may not include ${included} (in ${file}; "
                              "allowed: ${may_use})")
        endif()
      endforeach()
    endforeach()
  endforeach()
endfunction()

# A CppUTest program, registered with ctest: holdfast_test(NAME queue USES store SOURCES ...)
function(holdfast_test)
  cmake_parse_arguments(T "" "NAME;TIMEOUT" "USES;DEPS;SOURCES" ${ARGN})
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 300)
  endif()
  add_executable(test_${T_NAME} ${T_SOURCES} ${PROJECT_SOURCE_DIR}/tests/main.cc)
  target_include_directories(test_${T_NAME} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(test_${T_NAME} PRIVATE holdfast_flags)
  foreach(used IN LISTS T_USES)
    target_link_libraries(test_${T_NAME} PRIVATE holdfast::${used})
  endforeach()
  target_link_libraries(test_${T_NAME} PRIVATE ${T_DEPS} deps::cpputest)
  add_test(NAME ${T_NAME} COMMAND test_${T_NAME} -c)
  set_tests_properties(${T_NAME} PROPERTIES TIMEOUT ${T_TIMEOUT})
endfunction()
