# mallbots_test(NAME SOURCES... [LIBS...] [TIMEOUT s] [LABELS...] [PROCESSES n])
#   One GoogleTest binary NAME in ${build}/bin; each TEST in it is one ctest test named NAME.Suite.Case.
#   SOURCES may be the first arguments after NAME without the keyword.
#   TIMEOUT: seconds per TEST, default 60.  LABELS: heart = run under asan, tsan = run under tsan, check and full = too long
#   for make test; see tests/README.md.
#   PROCESSES: cores a TEST keeps busy, so that ctest -j does not start too many at once.
#   Tests are listed when ctest starts, never while building. They run in the source root; the binary's own folder
#   (/proc/self/exe) holds mallbotsd and mallbots too.
#
# mallbots_fuzz(NAME SOURCES... [LIBS...])
#   One libFuzzer target, built only with MALLBOTS_FUZZ=ON; tests/check/fuzz.sh runs all of them.

find_package(GTest REQUIRED)
include(GoogleTest)

function(mallbots_test NAME)
  cmake_parse_arguments(T "" "TIMEOUT;PROCESSES" "SOURCES;LIBS;LABELS" ${ARGN})
  if(NOT T_TIMEOUT)
    set(T_TIMEOUT 60)
  endif()
  if(NOT T_PROCESSES)
    set(T_PROCESSES 1)
  endif()
  if(MALLBOTS_SANITIZE OR MALLBOTS_FUZZ)
    math(EXPR T_TIMEOUT "${T_TIMEOUT} * 4") # instrumented code is slower; the promise is the same
  endif()
  add_executable(${NAME} ${T_UNPARSED_ARGUMENTS} ${T_SOURCES})
  target_link_libraries(${NAME} PRIVATE ${T_LIBS} GTest::gmock GTest::gtest_main Threads::Threads)
  gtest_discover_tests(${NAME} TEST_PREFIX "${NAME}." DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
                       TEST_LIST ${NAME}_cases WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}"
                       PROPERTIES TIMEOUT ${T_TIMEOUT} PROCESSORS ${T_PROCESSES})
  if(T_LABELS)
    # gtest_discover_tests cannot pass a list; ctest reads this file after the one that lists the cases.
    set(labels_file "${CMAKE_CURRENT_BINARY_DIR}/${NAME}_labels.cmake")
    file(WRITE "${labels_file}"
         "if(${NAME}_cases)\n  set_tests_properties(\${${NAME}_cases} PROPERTIES LABELS \"${T_LABELS}\")\nendif()\n")
    set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "${labels_file}")
    foreach(label IN LISTS T_LABELS) # tests_heart, tests_tsan, ...: what a sanitizer stage has to build
      if(NOT TARGET tests_${label})
        add_custom_target(tests_${label})
      endif()
      add_dependencies(tests_${label} ${NAME})
    endforeach()
  endif()
endfunction()

function(mallbots_fuzz NAME)
  if(NOT MALLBOTS_FUZZ)
    return()
  endif()
  cmake_parse_arguments(T "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${NAME} ${T_UNPARSED_ARGUMENTS} ${T_SOURCES})
  target_link_libraries(${NAME} PRIVATE ${T_LIBS} Threads::Threads)
  target_link_options(${NAME} PRIVATE -fsanitize=fuzzer)
  set_property(GLOBAL APPEND PROPERTY MALLBOTS_FUZZ_TARGETS ${NAME})
endfunction()
