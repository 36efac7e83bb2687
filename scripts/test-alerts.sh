#!/usr/bin/env bash
# Checks the alert rules with promtool and runs their examples, and checks the queries of
# the dashboard. Fetches promtool from
# Debian's package of Prometheus, and installs nothing. Exits with 75 if there is none.
set -euo pipefail
cd "$(dirname "$0")/../deploy/prometheus"
tools=${XDG_CACHE_HOME:-$HOME/.cache}/mraws-tools/promtool
promtool=$(command -v promtool || true)
if [ -z "$promtool" ]; then
	promtool=$tools/usr/bin/promtool
	if [ ! -x "$promtool" ]; then
		mkdir -p "$tools"
		if ! (cd "$tools" && apt-get download -qq prometheus) >/dev/null 2>&1; then
			exit 75
		fi
		dpkg -x "$tools"/prometheus_*.deb "$tools"
		rm -f "$tools"/prometheus_*.deb
	fi
fi
"$promtool" check rules alerts.yaml
"$promtool" test rules alerts_test.yaml

# A string of JSON is one of YAML.
queries=$(mktemp)
trap 'rm -f "$queries"' EXIT
{
	echo 'groups: [{name: dashboard, rules: ['
	sed -n 's/^ *"expr": \(".*"\),$/expr: \1},/p' ../grafana/mraws.json |
		sed 's/\$__rate_interval/5m/g' | awk '{ printf "{record: \"dashboard:query_%d\", %s\n", NR, $0 }'
	echo ']}]'
} >"$queries"
"$promtool" check rules "$queries"
