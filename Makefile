# Short names for the commands of CONTRIBUTING.md. Everything works without
# make too.
.PHONY: run test test-interop test-net chaos bench scale sim lint generate fmt man site

run: ## count the words of Go's own source and documents
	go run . run --app wc --verify "$$(go env GOROOT)/src" "$$(go env GOROOT)/doc"

test: ## all tests except those that need another server or client
	scripts/test.sh

test-interop: ## the S3 side and the jobs again, with MinIO and the AWS CLI
	scripts/test-interop.sh

test-net: ## jobs over a network with partitions; run as root, or: unshare -Ur make test-net
	scripts/test-net.sh

chaos: ## real processes under random faults: make chaos ROUNDS=200; SEED=7 repeats the plan of a failure
	go run ./e2e/chaos -rounds $(or $(ROUNDS),20) -seed $(or $(SEED),0) $(if $(CHAOS_RACE),-race)

bench: ## mraws compared with other tools: make bench ONLY='^wc$$' (docs/benchmarks.md)
	go run ./bench -only '$(ONLY)'

scale: ## 1 TB and 100 TB on 10 to 1,000 machines, in simulation (docs/scale.md)
	go run ./bench/scale

sim: ## the simulator, both modes: make sim SEEDS=1000000 before a release
	go test -timeout 0 ./internal/coordinator/sched -run TestSimulate -v -sim.seeds $(or $(SEEDS),20000)

man: ## the manual pages: make man DIR=~/.local/share/man/man1
	go run . man $(or $(DIR),man)

site: ## a web site of the documents, in the folder site; checks every link
	go -C scripts/site run . -root ../.. -out ../../site

lint:
	scripts/lint.sh

fmt:
	scripts/lint.sh fmt

generate: ## internal/wire/*.pb.go from mraws.proto
	scripts/generate.sh
