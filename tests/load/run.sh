#!/usr/bin/env bash
# A real server on loopback, a bounded headless locust run against it, then both stop. LOAD_USERS, LOAD_SECONDS.
set -euo pipefail
cd "$(dirname "$0")/../.."
port=$(.venv/bin/python -c "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])")
work=$(mktemp -d)
HOST=127.0.0.1 PORT=$port WORKERS=2 LOG_LEVEL=error AUDIT_URL="sqlite:///$work/audit.db" .venv/bin/python -m service &
server=$!
trap 'kill $server 2>/dev/null; wait $server 2>/dev/null || true; rm -rf "$work"' EXIT
for _ in $(seq 100); do curl -fsS "http://127.0.0.1:$port/health/ready" >/dev/null 2>&1 && break; sleep 0.1; done
.venv/bin/locust -f tests/load/locustfile.py --headless --only-summary --host "http://127.0.0.1:$port" \
  -u "${LOAD_USERS:-8}" -r 8 -t "${LOAD_SECONDS:-30}s" --stop-timeout 10
