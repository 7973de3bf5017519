"""Names that are no image keys, some of them with bad intent."""

ODD_KEYS = [
    "",
    "/",
    "..",
    "../secret",
    "jobs/../../secret",
    "/etc/passwd",
    "jobs//0",
    "jobs/./0",
    "jobs/",
    "jobs/.parts",
    ".parts/x",
    "jobs\\..\\x",
    "jobs/%2e%2e/x",
    "jobs/\0",
    "jobs/0\n",
    "JOBS/0",
    "jobs/\u00e9",
    "jobs/\udc80",
    "x" * 5000,
    "/".join("x" * 100),
]
