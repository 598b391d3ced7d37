# Joins objects into an archive of one object whose only global symbols are those of tenon.h.
#   cmake -DLD=ld -DOBJCOPY=objcopy -DNM=nm -DAR=ar -DOBJECTS=list -DARCHIVE=libtenon.a -P join_archive.cmake
set(object ${ARCHIVE}.o)
# Section groups are dissolved, or the host's linker would drop our copy of a template in favour of its own.
execute_process(COMMAND ${LD} -r --force-group-allocation -o ${object} @${OBJECTS} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${OBJCOPY} --wildcard --keep-global-symbol=tenon_* ${object} COMMAND_ERROR_IS_FATAL ANY)
# Symbols of the "unique" kind cannot be made local: they get names that nobody else has.
execute_process(COMMAND ${NM} --defined-only --extern-only ${object} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[0-9a-f]+ u [^\n]+" unique "${symbols}")
set(renames "")
foreach(line IN LISTS unique)
  string(REGEX REPLACE "^[0-9a-f]+ u " "" name "${line}")
  string(MD5 short "${name}")
  string(APPEND renames "${name} tenon_private_${short}\n")
endforeach()
if(renames)
  file(WRITE ${object}.renames "${renames}")
  execute_process(COMMAND ${OBJCOPY} --redefine-syms=${object}.renames ${object} COMMAND_ERROR_IS_FATAL ANY)
  file(REMOVE ${object}.renames)
endif()
file(REMOVE ${ARCHIVE})
execute_process(COMMAND ${AR} rcs ${ARCHIVE} ${object} COMMAND_ERROR_IS_FATAL ANY)
file(REMOVE ${object})
