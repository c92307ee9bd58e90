#!/bin/sh
# Installs the build into a folder of its own, and uses it as a stranger would: every example is
# compiled against what was installed and run, by pkg-config, by CMake, from C++ and from Python.
set -eu
if [ -n "$WAGGLE_INSTRUMENTED" ]; then
    echo "skipped: programs without $WAGGLE_INSTRUMENTED cannot use a library with it"
    exit 77
fi
examples=$WAGGLE_SOURCE/examples
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix
cmake --install "$WAGGLE_BUILD" --prefix "$prefix" >"$work/install.log"

fail() {
    echo "FAILED: $*"
    exit 1
}

# run NAME COMMAND...: in a folder of its own; it has to say something.
run() {
    name=$1
    shift
    echo "--- $name"
    mkdir "$work/$name.run"
    (cd "$work/$name.run" && "$@" >out) || fail "$name: exit code $?"
    cat "$work/$name.run/out"
    [ -s "$work/$name.run/out" ] || fail "$name printed nothing"
}

for file in bin/waggle lib/libwaggle.so lib/libwaggle.so.0 lib/libwaggle.a lib/pkgconfig/waggle.pc \
    lib/cmake/Waggle/WaggleConfig.cmake include/waggle/waggle.h share/doc/waggle/LICENSE; do
    [ -e "$prefix/$file" ] || fail "$file is not installed"
done
run binary "$prefix/bin/waggle" version

# --- pkg-config ---
export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
unset LD_LIBRARY_PATH
flags=$(pkg-config --cflags --libs waggle)
strict='-Wall -Wextra -Wpedantic -Werror'
for source in "$examples"/*.c; do
    name=$(basename "$source" .c)
    cc -std=c11 $strict "$source" -o "$work/$name" $flags "-Wl,-rpath,$prefix/lib"
    run "$name" "$work/$name"
done
for header in "$prefix"/include/waggle/*.h; do
    name=$(basename "$header" .h)
    [ "$name" = waggle ] || [ -e "$examples/$name.c" ] || fail "$name.h has no example"
done

# Linked with libwaggle.a, a program needs no libwaggle.so.
static=$(pkg-config --static --cflags --libs waggle | sed 's/-lwaggle/-l:libwaggle.a/')
cc -std=c11 "$examples/search.c" -o "$work/search_static" $static
run search_static "$work/search_static"
cmp "$work/search.run/out" "$work/search_static.run/out"

# --- CMake ---
mkdir "$work/cmake"
cat >"$work/cmake/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.22)
project(user LANGUAGES C)
find_package(Waggle 0.1 REQUIRED)
add_executable(shared $examples/knn.c)
target_link_libraries(shared Waggle::waggle)
add_executable(static $examples/knn.c)
target_link_libraries(static Waggle::waggle_static)
END
cmake -S "$work/cmake" -B "$work/cmake/build" "-DCMAKE_PREFIX_PATH=$prefix" >"$work/cmake.log" ||
    fail "$(cat "$work/cmake.log")"
cmake --build "$work/cmake/build" >"$work/cmake.log" || fail "$(cat "$work/cmake.log")"
for kind in shared static; do
    run "cmake_$kind" "$work/cmake/build/$kind"
    cmp "$work/knn.run/out" "$work/cmake_$kind.run/out"
done

# --- C++ and Python ---
c++ -std=c++11 $strict "$examples/waggle.cc" -o "$work/waggle_cc" $flags "-Wl,-rpath,$prefix/lib"
run c++ "$work/waggle_cc"
run python python3 "$examples/knn.py" "$prefix/lib/libwaggle.so.0"
tail -n 3 "$work/python.run/out" | cmp - "$work/knn.run/out"
