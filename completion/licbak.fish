# Completion of licbak's command line for fish. Commands and options are those that the tool prints.

function __licbak_commands
    licbak --help 2>/dev/null | sed -n 's/^  \([a-z][a-z]*\)  */\1\t/p'
end

function __licbak_options
    set -l words (commandline -opc)
    licbak $words[2] --help 2>/dev/null | sed -n 's/^  \(--[a-z-]*\) [A-Z ]*  */\1\t/p'
end

complete -c licbak -n 'test (count (commandline -opc)) -eq 1' -f -a '(__licbak_commands)'
complete -c licbak -n 'test "$(commandline -opc)[2]" = help' -f -a '(__licbak_commands)'
complete -c licbak -n 'string match -q -- "-*" (commandline -ct)' -f -a '(__licbak_options)'
