# mallbots_test(NAME SOURCES... [LIBS...] [TIMEOUT s] [LABELS...] [PROCESSES n])
#   One GoogleTest binary NAME in ${build}/bin; each TEST in it is one ctest test named NAME.Suite.Case.
#   SOURCES may be the first arguments after NAME without the keyword.
#   TIMEOUT: seconds per TEST, default 60.  LABELS: heart = run under asan, tsan = run under tsan, see tests/README.md.
#   PROCESSES: cores a TEST keeps busy, so that ctest -j does not start too many at once.
#   Tests are listed when ctest starts, never while building.
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
  set(properties TIMEOUT ${T_TIMEOUT} PROCESSORS ${T_PROCESSES})
  if(T_LABELS)
    # A list inside PROPERTIES survives two rounds of parsing only with the separator escaped.
    string(REPLACE ";" "\\\\;" labels "${T_LABELS}")
    list(APPEND properties LABELS "${labels}")
  endif()
  gtest_discover_tests(${NAME} TEST_PREFIX "${NAME}." DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
                       WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}" PROPERTIES ${properties})
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
