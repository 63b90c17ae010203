# shellcheck shell=bash
# GPUs for bats tests, by the simulated driver. Usage: `load gpu_helper`, then `setup_gpus` in setup or in the test, and
# `teardown_gpus` in teardown. The engine and all commands from here on see the same GPUs.
: "${ROOT:?load helper first}"

# Give this host GPUs, such as `setup_gpus a100-40 a100-40:3g.20gb,1g.5gb`; none without words.
setup_gpus() { # [<model>[:<profile>,...]]...
    export FAKE_NVML_TOPOLOGY="${BENCH_GPUS:?GPU tests are run by tests/run}/topology.json"
    export LD_LIBRARY_PATH="${BENCH_GPUS}"
    "${ROOT}/tests/python/fake_gpus.py" --output "${FAKE_NVML_TOPOLOGY}" "$@"
}

# A host without GPUs, as before.
teardown_gpus() {
    [[ -z "${BENCH_GPUS:-}" ]] || "${ROOT}/tests/python/fake_gpus.py" --output "${BENCH_GPUS}/topology.json"
    unset FAKE_NVML_TOPOLOGY LD_LIBRARY_PATH
}

# The UUID of a GPU, or of a MIG device of it. Prints: it.
gpu_uuid() { # <gpu> [<index>]
    jq -r --argjson gpu "$1" --arg index "${2:-}" \
        '.gpus[$gpu] | if $index == "" then .uuid else .mig.instances[] | select(.index == ($index | tonumber)).uuid end' \
        "${FAKE_NVML_TOPOLOGY}"
}

# Change the topology by a jq program, such as `change_gpus '.gpus[0].lost = true'`, in one step.
change_gpus() { # <jq-word>...
    jq "$@" "${FAKE_NVML_TOPOLOGY}" > "${FAKE_NVML_TOPOLOGY}.new"
    mv -- "${FAKE_NVML_TOPOLOGY}.new" "${FAKE_NVML_TOPOLOGY}"
}

# What a container sees, one UUID in a line. Prints: nothing for none.
gpus_inside() { # <container>
    docker exec "$1" sh -c 'ls /dev/nvidia-sim 2> /dev/null || true'
}
