# SPDX-License-Identifier: Apache-2.0
# ARMv7-A, hard float, glibc: Debian's cross compiler g++-arm-linux-gnueabihf.
#
#   cmake -DCMAKE_TOOLCHAIN_FILE=toolchains/armv7.cmake -DHOLDFAST_DEPS=$(toolchains/setup armv7) ...
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR armv7l)
set(triplet arm-linux-gnueabihf)
set(CMAKE_C_COMPILER ${triplet}-gcc)
set(CMAKE_CXX_COMPILER ${triplet}-g++)
set(CMAKE_AR ${triplet}-gcc-ar CACHE FILEPATH "")
set(CMAKE_RANLIB ${triplet}-gcc-ranlib CACHE FILEPATH "")
set(CMAKE_LIBRARY_ARCHITECTURE ${triplet})
# Programs run on the build machine; everything else comes from the target's side only.
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
# With qemu-user-static installed, ctest runs the target's tests as well.
find_program(HOLDFAST_QEMU qemu-arm-static)
if(HOLDFAST_QEMU)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${HOLDFAST_QEMU};-L;/usr/${triplet})
endif()
