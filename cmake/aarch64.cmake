# For CMAKE_TOOLCHAIN_FILE: compiles for 64-bit Arm with Debian's cross compiler and runs what it built in QEMU, on a CPU with nothing beyond
# Armv8.0. `tools/setup aarch64` installs both and unpacks the libraries of that system into build/aarch64-root.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
get_filename_component(root ${CMAKE_CURRENT_LIST_DIR}/../build/aarch64-root ABSOLUTE)
# What libraries there need of each other.
set(CMAKE_EXE_LINKER_FLAGS_INIT -Wl,-rpath-link,${root}/lib/aarch64-linux-gnu)
set(CMAKE_CROSSCOMPILING_EMULATOR
    qemu-aarch64-static;-cpu;cortex-a57;-L;/usr/aarch64-linux-gnu;-E;LD_LIBRARY_PATH=${root}/lib/aarch64-linux-gnu)

# The compiler knows its own C and C++ libraries; all others are looked for there, and programs to run while building on the host.
set(CMAKE_FIND_ROOT_PATH ${root})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_LIBDIR} ${root}/usr/lib/aarch64-linux-gnu/pkgconfig)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${root})
