#!/usr/bin/env bash
# Writes docker/secrets/ once: random passwords, an API key, a self-signed certificate. Nothing that is there is replaced.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=docker/secrets
umask 077
mkdir -p "$folder"
random() { openssl rand -hex 24; }

[ -e "$folder/postgres_password" ] || random > "$folder/postgres_password"
[ -e "$folder/grafana_password" ] || random > "$folder/grafana_password"
[ -e "$folder/audit_url" ] || printf 'postgresql://ecg:%s@postgres/ecg' "$(cat "$folder/postgres_password")" > "$folder/audit_url"
[ -e "$folder/api_keys.json" ] || .venv/bin/python -m service.auth new load --scope predict --file "$folder/api_keys.json" > "$folder/load_key"
[ -e "$folder/tls.crt" ] || openssl req -x509 -newkey rsa:3072 -nodes -days 365 -subj /CN=localhost \
  -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "$folder/tls.key" -out "$folder/tls.crt" 2>/dev/null
# Containers read these under other users; the folder itself stays closed to everyone but its owner.
chmod 644 "$folder"/*
chmod 700 "$folder"
echo "secrets are in $folder; the load key's name is 'load'"
