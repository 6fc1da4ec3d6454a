# SPDX-License-Identifier: Apache-2.0
# ARMv8-A, 64 bit, glibc: Debian's cross compiler g++-aarch64-linux-gnu.
#
#   cmake -DCMAKE_TOOLCHAIN_FILE=toolchains/aarch64.cmake -DHOLDFAST_DEPS=$(toolchains/setup aarch64) ...
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(triplet aarch64-linux-gnu)
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
find_program(HOLDFAST_QEMU qemu-aarch64-static)
if(HOLDFAST_QEMU)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${HOLDFAST_QEMU};-L;/usr/${triplet})
endif()
