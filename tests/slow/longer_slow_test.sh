#!/bin/sh
# The random tests again, longer and with other seeds; WAGGLE_BUILD names the build folder. Each
# prints its seed, so a failure can be repeated.
set -eu
seed=$(date +%s)
test=$WAGGLE_BUILD/test
for round in 1 2 3; do
    WAGGLE_SEED=$seed "$test/tests_search_exact_test"
    WAGGLE_SEED=$seed "$test/tests_search_store_test"
    WAGGLE_SEED=$seed WAGGLE_OPS=500 "$test/tests_store_model_test"
    WAGGLE_SEED=$seed "$test/tests_kill_test" 200
    seed=$((seed + 1))
    echo "round $round done"
done
