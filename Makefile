# The one door: `make demo` shows the main job, `make test` runs everything. What they need is installed by scripts/setup.

.PHONY: demo test corpus fuzz bench build clean

demo:
	scripts/setup demo
	scripts/demo

test:
	scripts/setup test
	scripts/test

corpus:
	scripts/setup test
	scripts/corpus

# make fuzz TARGET=http1 SECONDS=60
fuzz:
	scripts/setup test
	scripts/fuzz $(or $(TARGET),all) $(or $(SECONDS),60)

# make bench, or make bench QUICK=1 (under two minutes)
bench:
	scripts/setup bench
	scripts/bench $(if $(QUICK),--quick)

build:
	scripts/setup build
	swift build -c release --static-swift-stdlib --product weft-proxy

clean:
	rm -rf .build .build-*
