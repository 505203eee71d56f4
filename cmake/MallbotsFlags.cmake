# Compiler flags of the whole tree; lld and ccache when they are there.

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

# -g everywhere: a core file of a release must be readable. No -march=native: the binary runs where it is copied to.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g -DNDEBUG")
set(CMAKE_C_FLAGS_RELEASE "-O2 -g -DNDEBUG")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g -fno-omit-frame-pointer")
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O1 -g -fno-omit-frame-pointer")
set(CMAKE_CXX_FLAGS_DEBUG "-Og -g")
set(CMAKE_C_FLAGS_DEBUG "-Og -g")

add_compile_options(-Wall -Wextra -Werror)
# Designated initialisers name the fields that matter; the rest is zero by the language.
add_compile_options(-Wno-missing-field-initializers)

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports these inside its own std::string, std::vector and std::variant when it has inlined enough.
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>
                      -Wno-maybe-uninitialized -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread)
  # The line size in shared memory is our own constant, not the compiler's tuning.
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wno-interference-size>)
endif()

include_directories("${CMAKE_SOURCE_DIR}")

if(MALLBOTS_CRASH_POINTS)
  add_compile_definitions(MALLBOTS_CRASH_POINTS=1)
endif()

if(MALLBOTS_SANITIZE STREQUAL "address")
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
elseif(MALLBOTS_SANITIZE STREQUAL "thread")
  # -Wno-tsan: the fences of the protocol are proven by models and litmus tests; TSan sees the atomics around them.
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-tsan)
  endif()
  add_link_options(-fsanitize=thread)
elseif(NOT MALLBOTS_SANITIZE STREQUAL "")
  message(FATAL_ERROR "MALLBOTS_SANITIZE=${MALLBOTS_SANITIZE} is unknown; use address, thread or leave it empty")
endif()

if(MALLBOTS_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "MALLBOTS_FUZZ needs clang (libFuzzer); use the preset fuzz")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all)
  add_link_options(-fsanitize=address,undefined)
endif()

# Links are not cached, and a test program of the services is 240 MB: lld takes a quarter of the time of the default linker.
find_program(MALLBOTS_LLD ld.lld)
if(MALLBOTS_LLD)
  add_link_options(-fuse-ld=lld)
endif()

# Base dir and no-hash-dir let clones in different folders share one cache.
find_program(MALLBOTS_CCACHE ccache)
if(MALLBOTS_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(launcher "${CMAKE_COMMAND};-E;env;CCACHE_BASEDIR=${CMAKE_SOURCE_DIR};CCACHE_NOHASHDIR=1;${MALLBOTS_CCACHE}")
  set(CMAKE_CXX_COMPILER_LAUNCHER "${launcher}")
  set(CMAKE_C_COMPILER_LAUNCHER "${launcher}")
endif()
