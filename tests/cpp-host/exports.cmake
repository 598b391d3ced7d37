# Fails unless every symbol that `nm` shows as defined and global in LIBRARY begins with tenon_.
#   cmake -DNM=nm -DFLAGS=-D -DLIBRARY=libtenon.so -P exports.cmake
execute_process(COMMAND ${NM} ${FLAGS} --defined-only --extern-only ${LIBRARY} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[0-9a-f]+ [A-Za-z] [^\n]+" lines "${symbols}")
list(LENGTH lines count)
if(count LESS 60)
  message(FATAL_ERROR "${LIBRARY} exports ${count} symbols, expected the whole of tenon.h")
endif()
list(FILTER lines EXCLUDE REGEX " tenon_[a-z0-9_]+$")
if(lines)
  list(JOIN lines "\n  " lines)
  message(FATAL_ERROR "${LIBRARY} exports more than tenon.h:\n  ${lines}")
endif()
message(STATUS "${LIBRARY}: ${count} symbols, all of tenon.h")
