"""The house rules as tables: who may include whom, and which place holds which power of the machine."""

# Room -> what it may include, as path prefixes ("clients/*.h" = headers directly in that folder).
# The longest room that a path starts with counts. A room may always include itself.
INCLUDES = {
    "shm/base/": [],
    "shm/layout/": ["shm/base/"],
    "shm/concurrent/": ["shm/base/", "shm/layout/"],
    "shm/region/": ["shm/base/", "shm/layout/"],
    "shm/segment/": ["shm/base/", "shm/layout/"],
    "shm/": ["shm/"],
    "broker/": ["shm/"],
    "clients/": ["shm/", "clients/*.h", "clients/internal/"],
    "clients/cli/": ["shm/", "clients/*.h", "clients/internal/", "clients/toolkit/"],
    "clients/examples/": ["clients/*.h", "shm/base/"],
    "clients/toolkit/": ["clients/*.h", "shm/base/"],
    "services/": ["clients/*.h", "clients/toolkit/", "shm/base/", "services/runtime/"],
    "bench/": ["shm/", "clients/"],
    "tests/": ["shm/", "broker/", "clients/", "services/", "bench/"],
}

# Power -> (what shows it in code, where it is allowed). Tests may touch everything except processes.
DOORS = {
    "memory mappings and futexes": (
        r"(?<![\w.>:])(?:mmap|munmap|mremap|memfd_create|shm_open|madvise)\s*\("
        r"|(?<!\w)::(?:mmap|munmap|mremap|memfd_create|shm_open|madvise)\s*\("
        r"|\bSYS_futex\w*|\bFUTEX_WA|<linux/futex\.h>|<boost/interprocess/",
        ["shm/region/", "shm/concurrent/wait", "bench/", "tests/"],
    ),
    "io_uring": (
        r"<liburing\.h>|\bio_uring_\w+\s*\(",
        ["broker/io/", "clients/cli/doctor", "bench/", "tests/"],
    ),
    "files": (
        r"(?<![\w.>:])(?:pread|pwrite|preadv2?|pwritev2?|fsync|fdatasync|openat|renameat2?|unlinkat"
        r"|fallocate|posix_fallocate|sync_file_range|syncfs)\s*\("
        r"|(?<!\w)::(?:open|creat|rename|unlink|mkdir|rmdir|opendir|ftruncate|pread|pwrite|pwritev2?"
        r"|fsync|fdatasync|openat|renameat2?|unlinkat|fallocate|truncate)\s*\("
        r"|<fstream>|<filesystem>",
        ["broker/io/", "broker/folders", "shm/region/", "clients/internal/cold", "clients/cli/", "clients/examples/",
         "clients/toolkit/", "services/mall/", "services/runtime/", "services/simulators/", "bench/", "tests/"],
    ),
    "Unix sockets": (
        r"<sys/un\.h>|\bAF_UNIX\b|(?<![\w.>])(?:::)?(?:sendmsg|recvmsg|socketpair)\s*\(",
        ["broker/control/", "broker/keeper", "clients/internal/", "bench/", "tests/"],
    ),
    "TCP sockets": (
        r"<boost/asio|<boost/beast|<netinet/|\bAF_INET6?\b",
        ["broker/metrics_http", "services/gateways/", "services/runtime/", "services/simulators/http_client", "bench/", "tests/"],
    ),
    "clocks": (
        r"\b(?:clock_gettime|gettimeofday|clock_nanosleep)\s*\(|_clock::now\s*\(|\b__rdtscp?\s*\("
        r"|(?<![\w.>:])time\s*\(\s*(?:nullptr|NULL|0|&)",
        ["shm/base/clock", "bench/", "tests/"],
    ),
    "starting and killing processes": (
        r"(?<![\w.>:~])(?:fork|vfork|execve?|execvp|execl|execlp|posix_spawnp?|pidfd_send_signal|tgkill)\s*\("
        r"|(?<!\w)::(?:fork|vfork|execve?|execvp|execl|execlp|posix_spawnp?|kill|tgkill)\s*\("
        r"|\bSYS_pidfd_send_signal\b|(?<![\w.>:~])kill\s*\([^()]*,\s*SIG",
        ["broker/keeper", "services/mall/", "tests/services/mall/", "tests/support/", "tests/crash/", "bench/harness/"],
    ),
}

# Orders weaker than seq_cst need a proof, and the proofs are about the first two folders. The bare loops of the bench,
# which show what the machine can do, name their pairs too.
ORDERS = ["shm/concurrent/", "shm/layout/", "bench/harness/", "bench/limits/"]

# Banned in code -> the better word.
BANNED = {
    r"\bTO" r"DO\b|\bFIX" r"ME\b|\bXX" r"X\b": "do it, or leave it out and say so in the document",
    r"#\s*if\s+0\b": "delete it; git remembers",
    r"\bstd::format\b|<format>": "fmt::format (g++ 12 has no std::format)",
    r"(?<![\w.>:])(?:sprintf|strcpy|strcat|gets|atoi|strtok)\s*\(": "fmt, std::string_view, std::from_chars",
    r"(?<![\w.>:])assert\s*\(": "CHECK or DCHECK of shm/base/check.h",
    r"(?<!asm )(?<!asm__ )\bvolatile\b": "std::atomic, which the tools can check (or // volatile: reason, above it)",
}
BANNED_FREE = {  # pattern index -> places where it is right
    3: ["bench/", "tests/"],
    5: ["bench/", "tests/"],
}

# Rooms whose sources have a mirror test: X/y.cpp -> tests/X/y_test.cpp
MIRRORED = ["shm/", "broker/", "clients/"]
NO_MIRROR_NAMES = ["main.cpp"]

FILE_CEILING = 1000
FILE_USUAL = 500
FUNCTION_LINES = 70
COLUMNS = 100
