# Each target sets up what it needs (tools/setup, by apt) and says so. CMake does the building, in
# build/PRESET; see CMakePresets.json.
JOBS        ?= $(shell nproc)
PREFIX      ?= /usr/local
DEMO_ARGS   ?=
BENCH_ARGS  ?=
COVERAGE_MIN = 90

# CHECKED=1 after `make check` has passed on the same tree: check-all does not repeat it.
CHECKED     ?=

# Kernels that this processor cannot run are not counted as lines that no test runs.
UNRUN_TIERS = $(shell flag() { grep -qw "$$1" /proc/cpuinfo; }; flag amx_int8 || echo amx; \
    flag avx_vnni || echo avxvnni; flag avx512_vnni || echo vnni; flag avx512bw || echo avx512)
UNRUN_KERNELS = $(foreach tier,$(UNRUN_TIERS),--exclude '.*/kernel/x86/$(tier)[^/]*')

# The thread sanitizer of gcc 12 and 13 cannot start under the wide address randomisation of newer
# kernels.
FIXED_ADDRESSES = $(shell setarch -R true 2>/dev/null && echo setarch -R)

.PHONY: help demo release check check-all check-slow check-tiers check-asan check-tsan fuzz coverage bench \
        accept install format clean
.NOTPARALLEL:

help:
	@echo 'make demo       search 60,000 pictures: set up, build, import, answer, show (DEMO_ARGS=...)'
	@echo 'make check      build and test; minutes'
	@echo 'make check-all  and with sanitizers, fuzzers, slow tests, lower tiers and coverage; up to an hour'
	@echo 'make coverage   which lines of src/ the tests run'
	@echo 'make bench      how fast Waggle is here (BENCH_ARGS=...)'
	@echo 'make accept     how fast next to its peers, each figure with PASS or FAIL'
	@echo 'make install    into PREFIX=$(PREFIX) (DESTDIR is honoured)'
	@echo 'make format     lay out the C files by .clang-format'
	@echo 'make clean      remove build/'

demo: release
	@tools/setup demo
	build/release/waggle demo $(DEMO_ARGS)

release:
	@tools/setup build
	@$(call build,release)

check:
	@tools/setup check
	@$(call build,dev)
	ctest --preset dev -j $(JOBS) -LE slow

check-all: $(if $(CHECKED),,check)
	@tools/setup check-all
	@$(MAKE) check-slow
	@$(MAKE) check-tiers
	@$(MAKE) fuzz
	@$(MAKE) coverage
	@$(MAKE) check-tsan
	@$(MAKE) check-asan

check-slow:
	@$(call build,dev)
	ctest --preset dev -j $(JOBS) -L slow --no-tests=ignore

check-tiers:
	@$(call build,dev)
	tools/check_tiers build/dev $(JOBS)

check-asan:
	@$(call build,asan)
	ctest --preset asan -j $(JOBS) -LE slow

check-tsan:
	@$(call build,tsan)
	$(FIXED_ADDRESSES) ctest --preset tsan -j $(JOBS) -LE slow

fuzz:
	@tools/setup check-all
	@$(call build,fuzz)
	ctest --preset fuzz -j $(JOBS) --no-tests=ignore

coverage:
	@tools/setup check-all
	@$(call build,coverage)
	@find build/coverage -name '*.gcda' -delete
	ctest --preset coverage -j $(JOBS) -LE slow
	@echo 'not counted, for this processor lacks them: $(or $(UNRUN_TIERS),none)'
	gcovr --root . --filter 'src/' --exclude '.*_(test|check|fuzz)\.c$$' $(UNRUN_KERNELS) -j $(JOBS) \
	    --fail-under-line $(COVERAGE_MIN) --print-summary --sort-percentage build/coverage

bench: release
	build/release/waggle bench $(BENCH_ARGS)

accept: release
	@tools/setup accept
	bench/accept.py

install: release
	cmake --install build/release --prefix $(PREFIX)

format:
	@tools/format

clean:
	rm -rf build

# Configures a preset and builds it; what CMake found is shown the first time.
define build
	if [ -f build/$(1)/build.ninja ]; then cmake --preset $(1) >/dev/null; \
	else cmake --preset $(1); fi && cmake --build --preset $(1) -j $(JOBS)
endef
