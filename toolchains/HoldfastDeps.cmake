# SPDX-License-Identifier: Apache-2.0
# The dependencies as imported targets, all of them from one prefix:
#
#   deps::sqlite  <sqlite3.h>          deps::cjson     <cjson/cJSON.h>
#   deps::curl    <curl/curl.h>        deps::zlib      <zlib.h>
#   deps::mbedtls <mbedtls/...>        deps::tinycbor  <tinycbor/cbor.h>
#   deps::coap    <coap3/coap.h>       deps::cpputest  <CppUTest/...>  (HOLDFAST_TESTS)
#   deps::mbedtls_server, deps::coap_server, deps::boost               (HOLDFAST_SERVER)
#
# toolchains/setup prints such a prefix. A ready-made one (Yocto, Buildroot) does as well; the
# layout is in toolchains/README.md.

set(HOLDFAST_DEPS "" CACHE PATH "Prefix with the dependencies; toolchains/setup makes one")
if(NOT HOLDFAST_DEPS)
  message(FATAL_ERROR "no dependencies given: run toolchains/setup, pass its output as -DHOLDFAST_DEPS=...")
endif()

find_package(Threads REQUIRED)
set(holdfast_missing "")

# Looks only where it is told to: neither the machine's own libraries nor a sysroot may slip in.
function(holdfast_find result kind prefix)
  set(found "found-NOTFOUND")
  if(kind STREQUAL "header")
    find_path(found NAMES ${ARGN} PATHS ${prefix}/include
              NO_CACHE NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH)
  else()
    find_library(found NAMES ${ARGN} PATHS ${prefix}/lib ${prefix}/lib64
                 PATH_SUFFIXES ${CMAKE_LIBRARY_ARCHITECTURE}
                 NO_CACHE NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH)
  endif()
  set(${result} "${found}" PARENT_SCOPE)
endfunction()

# holdfast_dependency(NAME curl HEADER curl/curl.h LIBS curl [OPTIONAL_LIBS ..] [NEEDS deps::zlib]
#                     [PREFIX dir])
# LIBS: users before what they use. Every archive is a target of its own, so that CMake knows the
# order of the whole link line.
function(holdfast_dependency)
  cmake_parse_arguments(D "" "NAME;HEADER;PREFIX" "LIBS;OPTIONAL_LIBS;NEEDS" ${ARGN})
  if(NOT D_PREFIX)
    set(D_PREFIX ${HOLDFAST_DEPS})
  endif()
  set(missing "")
  holdfast_find(include header ${D_PREFIX} ${D_HEADER})
  if(NOT include)
    list(APPEND missing "${D_NAME}: no ${D_HEADER} in ${D_PREFIX}/include")
  endif()
  set(chain ${D_NEEDS})
  set(libraries ${D_LIBS} ${D_OPTIONAL_LIBS})
  list(REVERSE libraries)
  foreach(library IN LISTS libraries)
    holdfast_find(file library ${D_PREFIX} ${library})
    if(file)
      set(archive deps::${D_NAME}.${library})
      add_library(${archive} UNKNOWN IMPORTED GLOBAL)
      set_target_properties(${archive} PROPERTIES IMPORTED_LOCATION ${file}
                            INTERFACE_LINK_LIBRARIES "${chain}")
      set(chain ${archive})
    elseif(library IN_LIST D_LIBS)
      list(APPEND missing "${D_NAME}: no lib${library} in ${D_PREFIX}/lib")
    endif()
  endforeach()
  if(missing)
    set(holdfast_missing ${holdfast_missing} ${missing} PARENT_SCOPE)
    return()
  endif()
  add_library(deps::${D_NAME} INTERFACE IMPORTED GLOBAL)
  target_include_directories(deps::${D_NAME} SYSTEM INTERFACE ${include})
  target_link_libraries(deps::${D_NAME} INTERFACE ${chain})
endfunction()

# The agent's Mbed TLS and libcoap and the server's are the same code with different structures.
# A program that links both would mix them silently; with this the linker refuses it, naming
# holdfast_a_program_links_one_mbedtls as defined twice.
function(holdfast_one_tls flavour target)
  if(TARGET ${target})
    add_library(holdfast_tls_${flavour} OBJECT ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/one_tls.c)
    target_link_libraries(${target} INTERFACE $<TARGET_OBJECTS:holdfast_tls_${flavour}>)
  endif()
endfunction()

# Headers of the two must not stand beside those every program uses: PREFIX/agent, PREFIX/server.
# A prefix without a server may have all in one place.
set(holdfast_agent_deps ${HOLDFAST_DEPS}/agent)
if(NOT EXISTS ${holdfast_agent_deps})
  set(holdfast_agent_deps ${HOLDFAST_DEPS})
endif()
set(holdfast_server_deps ${HOLDFAST_DEPS}/server)

holdfast_dependency(NAME sqlite HEADER sqlite3.h LIBS sqlite3 NEEDS Threads::Threads m)
holdfast_dependency(NAME zlib HEADER zlib.h LIBS z)
holdfast_dependency(NAME cjson HEADER cjson/cJSON.h LIBS cjson)
holdfast_dependency(NAME tinycbor HEADER tinycbor/cbor.h LIBS tinycbor)
holdfast_dependency(NAME mbedtls PREFIX ${holdfast_agent_deps} HEADER mbedtls/ssl.h
                    LIBS mbedtls mbedx509 mbedcrypto OPTIONAL_LIBS everest p256m
                    NEEDS Threads::Threads)
holdfast_dependency(NAME coap PREFIX ${holdfast_agent_deps} HEADER coap3/coap.h
                    LIBS coap-3 OPTIONAL_LIBS holdfast_stubs NEEDS deps::mbedtls)
holdfast_dependency(NAME curl HEADER curl/curl.h LIBS curl NEEDS deps::mbedtls deps::zlib)
holdfast_one_tls(agent deps::mbedtls)
if(HOLDFAST_TESTS)
  holdfast_dependency(NAME cpputest HEADER CppUTest/TestHarness.h LIBS CppUTestExt CppUTest)
endif()

if(HOLDFAST_SERVER)
  holdfast_dependency(NAME mbedtls_server PREFIX ${holdfast_server_deps} HEADER mbedtls/ssl.h
                      LIBS mbedtls mbedx509 mbedcrypto OPTIONAL_LIBS everest p256m
                      NEEDS Threads::Threads)
  holdfast_dependency(NAME coap_server PREFIX ${holdfast_server_deps} HEADER coap3/coap.h
                      LIBS coap-3 OPTIONAL_LIBS holdfast_stubs NEEDS deps::mbedtls_server)
  holdfast_one_tls(server deps::mbedtls_server)
  find_path(HOLDFAST_BOOST boost/beast.hpp HINTS ${HOLDFAST_DEPS}/include
            DOC "Folder with boost/beast.hpp")
  if(HOLDFAST_BOOST)
    add_library(deps::boost INTERFACE IMPORTED GLOBAL)
    target_include_directories(deps::boost SYSTEM INTERFACE ${HOLDFAST_BOOST})
    target_link_libraries(deps::boost INTERFACE Threads::Threads)
  else()
    list(APPEND holdfast_missing "boost: no boost/beast.hpp (Debian: libboost1.81-dev)")
  endif()
endif()

foreach(line IN LISTS holdfast_missing)
  message(NOTICE "missing dependency: ${line}")
endforeach()
if(holdfast_missing)
  message(FATAL_ERROR "HOLDFAST_DEPS is incomplete; toolchains/setup makes a complete prefix")
endif()
