# Completion of licbak's command line for bash. Commands and options are those that the tool prints.

_licbak() {
    local word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]}
    local -a words=()
    if ((COMP_CWORD == 1)); then
        words=($("$1" --help 2>/dev/null | sed -n 's/^  \([a-z][a-z]*\)  .*/\1/p'))
    elif [[ $command == help ]]; then
        words=($("$1" --help 2>/dev/null | sed -n 's/^  \([a-z][a-z]*\)  .*/\1/p'))
    elif [[ $word == -* ]]; then
        words=($("$1" "$command" --help 2>/dev/null | sed -n 's/^  \(--[a-z-]*\).*/\1/p'))
    fi
    # Nothing means files, by -o default.
    mapfile -t COMPREPLY < <(compgen -W "${words[*]}" -- "$word")
}

complete -o default -F _licbak licbak
