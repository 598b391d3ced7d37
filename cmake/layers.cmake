# One target a layer. Sources are found by pattern so that adding a file edits no list.
# Build folders that share this one share the compiler cache entries of what includes it.
set(TENON_GENERATED_OPS ${CMAKE_CURRENT_BINARY_DIR}/generated CACHE PATH "Where the includes made from ops.inc are put")

function(tenon_layer name)
  cmake_parse_arguments(L "" "" "SOURCES;LINK" ${ARGN})
  add_library(tenon_${name} OBJECT ${L_SOURCES})
  target_include_directories(tenon_${name} PUBLIC ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include ${TENON_GENERATED_OPS})
  target_link_libraries(tenon_${name} PUBLIC ${L_LINK})
  set_property(GLOBAL APPEND PROPERTY TENON_LAYERS tenon_${name})
endfunction()

# ops/generated/includes.h: one #include a row of ops.inc.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS src/ops/ops.inc)
file(STRINGS src/ops/ops.inc op_rows REGEX "^OP\\(")
set(op_includes "#pragma once\n")
foreach(row IN LISTS op_rows)
  string(REGEX REPLACE "^OP\\([A-Za-z0-9_]+, *([a-z0-9_]+)\\).*" "\\1" stem "${row}")
  string(APPEND op_includes "#include \"ops/${stem}.h\"\n")
endforeach()
# The rows as they were when the includes were made, so that both always agree.
configure_file(src/ops/ops.inc ${TENON_GENERATED_OPS}/ops/generated/ops.inc COPYONLY)
file(CONFIGURE OUTPUT ${TENON_GENERATED_OPS}/ops/generated/includes.h CONTENT "${op_includes}" @ONLY)

find_package(Threads REQUIRED)
find_package(OpenMP COMPONENTS CXX)
file(GLOB base_sources CONFIGURE_DEPENDS src/base/*.cpp)
tenon_layer(base SOURCES ${base_sources} LINK Threads::Threads)
if(TENON_OPENMP AND OpenMP_CXX_FOUND)
  target_link_libraries(tenon_base PUBLIC OpenMP::OpenMP_CXX)
  target_compile_definitions(tenon_base PRIVATE TENON_HAS_OPENMP)
endif()

file(GLOB_RECURSE kernel_sources CONFIGURE_DEPENDS kernels/*.cc)
list(REMOVE_ITEM kernel_sources ${PROJECT_SOURCE_DIR}/kernels/onednn/adapter.cc)  # the module (onednn.cmake)
tenon_layer(kernels SOURCES ${kernel_sources} LINK tenon_base)
find_path(HIGHWAY_INCLUDE hwy/highway.h REQUIRED)
# Without the AES condition Highway counts x86-64-v2 as SSE4; otherwise it adds a one-lane target as the fallback.
target_compile_definitions(tenon_kernels PUBLIC "HWY_DISABLED_TARGETS=(${TENON_DISABLED_TARGETS})" HWY_DISABLE_PCLMUL_AES)
target_include_directories(tenon_kernels PUBLIC ${HIGHWAY_INCLUDE})
target_link_libraries(tenon_kernels PUBLIC ${CMAKE_DL_LIBS})
target_compile_options(tenon_kernels PRIVATE ${TENON_KERNEL_OPTIONS} -ffp-contract=fast)
# What covers every type and case in plain loops is a tenth of the library; -O3 would make it three times as large and hardly faster.
file(GLOB plain_kernels CONFIGURE_DEPENDS kernels/*/*plain.cc kernels/*/reference.cc kernels/indexing/top_k.cc kernels/indexing/scatter.cc)
set_source_files_properties(${plain_kernels} PROPERTIES
  COMPILE_OPTIONS "$<$<CONFIG:Release>:-O2;$<$<CXX_COMPILER_ID:GNU>:-funswitch-loops;-fvect-cost-model=dynamic>>")

# Errors of products are computed in them: a product that is added may not lose its own rounding.
file(GLOB exact_kernels CONFIGURE_DEPENDS kernels/*/*_float64.cc)
set_source_files_properties(${exact_kernels} PROPERTIES COMPILE_OPTIONS -ffp-contract=off)

file(GLOB ops_sources CONFIGURE_DEPENDS src/ops/*.cpp)
tenon_layer(ops SOURCES ${ops_sources} LINK tenon_base tenon_kernels)
file(GLOB graph_sources CONFIGURE_DEPENDS src/graph/*.cpp)
tenon_layer(graph SOURCES ${graph_sources} LINK tenon_ops)
file(GLOB pass_sources CONFIGURE_DEPENDS src/passes/*.cpp)
tenon_layer(passes SOURCES ${pass_sources} LINK tenon_graph)
# Rules look at a few nodes each: what they take in the library counts, not their speed. affine.cpp has loops over weights.
list(FILTER pass_sources EXCLUDE REGEX /affine.cpp$)
set_source_files_properties(${pass_sources} PROPERTIES COMPILE_OPTIONS "$<$<CONFIG:Release>:-Os>")
file(GLOB plan_sources CONFIGURE_DEPENDS src/plan/*.cpp)
tenon_layer(plan SOURCES ${plan_sources} LINK tenon_passes)

# The ONNX schema is compiled into a private namespace; only its lite runtime is linked, and its symbols stay inside.
find_package(Protobuf REQUIRED)
set(onnx_proto ${PROJECT_SOURCE_DIR}/importers/onnx/onnx.proto)
set(onnx_generated ${CMAKE_CURRENT_BINARY_DIR}/generated-schema)
set(onnx_pb ${onnx_generated}/importers/onnx/onnx.pb)
file(MAKE_DIRECTORY ${onnx_generated})
add_custom_command(OUTPUT ${onnx_pb}.cc ${onnx_pb}.h DEPENDS ${onnx_proto} VERBATIM
  COMMAND protobuf::protoc --proto_path=${PROJECT_SOURCE_DIR} --cpp_out=${onnx_generated} ${onnx_proto})
add_custom_target(onnx_schema DEPENDS ${onnx_pb}.cc ${onnx_pb}.h)
file(GLOB_RECURSE importer_sources CONFIGURE_DEPENDS importers/onnx/*.cpp)
tenon_layer(importer SOURCES ${importer_sources} ${onnx_pb}.cc ${onnx_pb}.h LINK tenon_graph)
add_dependencies(tenon_importer onnx_schema)
target_include_directories(tenon_importer SYSTEM PUBLIC ${onnx_generated} ${Protobuf_INCLUDE_DIRS})
target_link_libraries(tenon_importer PUBLIC protobuf::libprotobuf-lite)
set_source_files_properties(${onnx_pb}.cc PROPERTIES COMPILE_OPTIONS -w)
# A converter runs once a node and load: what it takes in the library counts, not its speed. So it is with the layout of trees.
file(GLOB converters CONFIGURE_DEPENDS importers/onnx/convert/*.cpp)
set_source_files_properties(${converters} src/ops/forest.cpp PROPERTIES COMPILE_OPTIONS "$<$<CONFIG:Release>:-Os>")
