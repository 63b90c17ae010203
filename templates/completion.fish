# Completion of DS01's commands for fish. Made by python/help_pages.py; what a word may be is told by python/complete.py.
function __ds01_complete
    set -l root @ROOT@
    set -l python $root/venv/bin/python3
    test -x $python; or set python python3
    set -l current (commandline -ct)
    for line in ($python -sE $root/python/complete.py -- (commandline -opc) "$current" 2>/dev/null)
        switch $line
            case ':files' ':folders'
                # What stands before '=' is an option's.
                set -l before (string match -r -- '^-[^=]*=' "$current")
                set -l typed (string replace -r -- '^-[^=]*=' '' "$current")
                # A command that is not there has no completion of its own, only files.
                for path in (complete -C "__ds01_no_command $typed" | string split -f 1 \t)
                    if test $line = ':files'; or string match -q -- '*/' $path
                        echo "$before$path"
                    end
                end
            case '*'
                echo $line
        end
    end
end
complete -c @COMMANDS@ -f -a '(__ds01_complete)'
