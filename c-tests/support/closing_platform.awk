# Sums up in a line what the tests of a platform, called `what`, have printed: how many programs passed
# with how many checks, and all that was skipped. The last line that it reads is "exit status" with
# that of the tests, which becomes its own.

BEGIN {
    status = 1 # of a log that was cut
}

/^exit status [0-9]+$/ {
    status = $3
    next
}

/: [0-9]+ checks passed$/ {
    programs++
    checks += $(NF - 2)
    next
}

/(^|: )skipped: / {
    line = $0
    sub(/skipped: /, "", line)
    list = list (skipped++ == 0 ? ": " : ", ") line
}

END {
    failed = status == 0 ? "" : "FAILED, "
    print what ": " failed programs + 0 " programs with " checks + 0 " checks passed, " skipped + 0 " skipped" list
    exit (programs > 0 ? status : 1)
}
