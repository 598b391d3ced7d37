# What is shipped: libtenon.so, libtenon.a (both in <build>/lib), headers, find_package(tenon) and tenon.pc. Everything inside but the
# functions of tenon.h is hidden in both, so that a host may have a protobuf of its own.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

file(GLOB capi_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/capi/*.cpp)
tenon_layer(capi SOURCES ${capi_sources} LINK tenon_importer tenon_plan)

get_property(tenon_layers GLOBAL PROPERTY TENON_LAYERS)
set(tenon_objects "")
foreach(layer IN LISTS tenon_layers)
  list(APPEND tenon_objects $<TARGET_OBJECTS:${layer}>)
endforeach()
set(tenon_system_libraries Threads::Threads ${HIGHWAY_LIBRARY} ${CMAKE_DL_LIBS})
if(TENON_OPENMP AND OpenMP_CXX_FOUND)
  list(APPEND tenon_system_libraries OpenMP::OpenMP_CXX)
endif()
# The archive takes protobuf-lite in; the shared library links the shared one, for a distribution's archive is often built for executables only.
find_library(TENON_PROTOBUF_ARCHIVE NAMES libprotobuf-lite.a)

add_library(tenon SHARED ${tenon_objects})
set_target_properties(tenon PROPERTIES
  LINKER_LANGUAGE CXX
  VERSION ${PROJECT_VERSION}
  SOVERSION ${PROJECT_VERSION_MAJOR}
  LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/tenon.map
  LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)
target_link_libraries(tenon PRIVATE protobuf::libprotobuf-lite ${tenon_system_libraries})
target_link_options(tenon PRIVATE -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/tenon.map -Wl,--exclude-libs,ALL -Wl,-Bsymbolic
                    -Wl,--gc-sections)
if(NOT TENON_SANITIZE)
  target_link_options(tenon PRIVATE -Wl,--no-undefined)
endif()
target_include_directories(tenon INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_compile_features(tenon INTERFACE cxx_std_17)
add_library(tenon::tenon ALIAS tenon)

# The archive: all layers, and protobuf-lite, joined into one object whose only global symbols are those of tenon.h.
set(tenon_archive ${PROJECT_BINARY_DIR}/lib/libtenon.a)
set(tenon_object_list ${PROJECT_BINARY_DIR}/lib/tenon.objects)
file(GENERATE OUTPUT ${tenon_object_list} CONTENT "$<JOIN:${tenon_objects},\n>\n${TENON_PROTOBUF_ARCHIVE}\n")
add_custom_command(
  OUTPUT ${tenon_archive}
  COMMAND ${CMAKE_COMMAND} -DLD=${CMAKE_LINKER} -DOBJCOPY=${CMAKE_OBJCOPY} -DNM=${CMAKE_NM} -DAR=${CMAKE_AR} -DOBJECTS=${tenon_object_list}
          -DARCHIVE=${tenon_archive} -P ${PROJECT_SOURCE_DIR}/cmake/join_archive.cmake
  DEPENDS ${tenon_layers} ${tenon_objects} ${tenon_object_list} ${PROJECT_SOURCE_DIR}/cmake/join_archive.cmake
  COMMENT "Joining libtenon.a"
  COMMAND_EXPAND_LISTS
  VERBATIM)
add_custom_target(tenon_archive_file ALL DEPENDS ${tenon_archive})
add_library(tenon_static STATIC IMPORTED GLOBAL)
add_dependencies(tenon_static tenon_archive_file)
set_target_properties(tenon_static PROPERTIES
  IMPORTED_LOCATION ${tenon_archive}
  INTERFACE_INCLUDE_DIRECTORIES ${PROJECT_SOURCE_DIR}/include)
# Of the C++ run time the archive needs the library itself, whatever the host's language.
target_link_libraries(tenon_static INTERFACE ${tenon_system_libraries} stdc++ m)
if(NOT TENON_PROTOBUF_ARCHIVE)
  target_link_libraries(tenon_static INTERFACE protobuf::libprotobuf-lite)
endif()

# Installed: libraries, headers, CMake package, pkg-config file.
install(TARGETS tenon EXPORT tenon LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library NAMELINK_COMPONENT library)
install(FILES ${tenon_archive} DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/tenon DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT library FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")
install(EXPORT tenon NAMESPACE tenon:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/tenon FILE tenon-targets.cmake COMPONENT library)
set(TENON_STATIC_OPENMP "")
if(TENON_OPENMP AND OpenMP_CXX_FOUND)
  set(TENON_STATIC_OPENMP "-lgomp")
endif()
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/tenon-config.cmake.in ${PROJECT_BINARY_DIR}/tenon-config.cmake
                              INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/tenon
                              PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/tenon-config-version.cmake COMPATIBILITY SameMinorVersion)
file(RELATIVE_PATH TENON_PREFIX_FROM_PC /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(${PROJECT_SOURCE_DIR}/cmake/tenon.pc.in ${PROJECT_BINARY_DIR}/tenon.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/tenon-config.cmake ${PROJECT_BINARY_DIR}/tenon-config-version.cmake
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/tenon COMPONENT library)
install(FILES ${PROJECT_BINARY_DIR}/tenon.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT library)
