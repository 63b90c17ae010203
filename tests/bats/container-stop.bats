#!/usr/bin/env bats
# container-stop: several containers, and the engine's word that they stopped.

load helper

setup() {
    setup_ds01
}

teardown() {
    terminal_stop
    teardown_engine
}

@test "container-stop: names the missing word where nobody can be asked" {
    run -2 --separate-stderr "${BIN}/container-stop" < /dev/null
    [[ "${stderr_lines[0]}" == "container-stop: error: missing NAME (or '--all')" ]]
}

# bats test_tags=engine
@test "container-stop: stops all that run and leaves the others" {
    local name
    for name in t1 t2 t3; do
        run -0 "${BIN}/container-create" "${name}" Debian
    done
    run -0 "${BIN}/container-start" t1 t2
    run -0 --separate-stderr "${BIN}/container-stop" --all --force
    [[ "${stderr}" == *"'t1' is stopped"*"'t2' is stopped"* && "${stderr}" != *t3* ]]
    [[ -z "$(docker ps -q)" ]]
    run -0 --separate-stderr "${BIN}/container-stop" t1
    [[ "${stderr}" == *"container 't1' is not running" ]]
    grep -q '"type":"stopped"' "${DS01_ROOT}/var/log/ds01/events.jsonl"
}

# bats test_tags=engine
@test "container-stop: asks nothing where no container is running" {
    run -0 "${BIN}/container-create" rests Debian --quiet
    terminal_start_and_stay "${BIN}/container-stop"
    [[ "$(terminal_status)" == 3 ]]
    terminal_shows 'there is no running container to choose'
}
