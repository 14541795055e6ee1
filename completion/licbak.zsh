#compdef licbak
# Completion of licbak's command line for zsh. Commands and options are those that the tool prints.

_licbak() {
    local tool=${words[1]}
    local -a found
    if (( CURRENT == 2 )) || [[ ${words[2]} == help ]]; then
        found=(${(f)"$($tool --help 2>/dev/null | sed -n 's/^  \([a-z][a-z]*\)  */\1:/p')"})
        _describe command found
    elif [[ ${words[CURRENT]} == -* ]]; then
        found=(${(f)"$($tool ${words[2]} --help 2>/dev/null |
            sed -n 's/^  \(--[a-z-]*\) [A-Z ]*  */\1:/p')"})
        _describe option found
    else
        _files
    fi
}

_licbak "$@"
