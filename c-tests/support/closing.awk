# Sums up in a line what the tests have printed: how many passed, and all that was skipped, once even
# if a test says it of each of its places. The last line that it reads is "exit status" with that of
# the tests, which becomes its own. `platform` may be the name of one, which the line then begins with.

BEGIN {
    status = 1 # of a log that was cut
}

function skip(count, what) {
    list = list (skipped == 0 ? ": " : ", ") what
    skipped += count
}

/^exit status [0-9]+$/ {
    status = $3
    next
}

/^test result: / {
    passed += $4
    failed += $6
    ignored += $8
    next
}

/(^|: )skipped: / {
    what = $0
    sub(/^test [^ ]+ [.][.][.] /, "", what) # of the test that is running, where they run one by one
    sub(/skipped: /, "", what)
    if (!told[what]++) skip(1, what)
}

END {
    if (ignored > 0) skip(ignored, ignored " ignored")
    print (platform == "" ? "" : platform ": ") passed + 0 " passed, " (failed > 0 ? failed " failed, " : "") skipped + 0 " skipped" list
    exit (passed > 0 ? status : 1)
}
