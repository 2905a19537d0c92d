#!/usr/bin/env bash
# Each framework into an environment of its own beside the core's packages: their pins quarrel with the service's.
set -euo pipefail
cd "$(dirname "$0")/../.."
install() {
  local folder=.cache/peers/$1
  test -e "$folder/bin/python" || "${PYTHON:-python3.11}" -m venv "$folder"
  "$folder/bin/pip" install -q "${@:2}" numpy scipy pydantic defusedxml pydicom soundfile onnxruntime orjson
}
install litserve litserve
install bentoml bentoml
install mlserver mlserver 'uvloop<0.22'  # its workers ask for an event loop that later ones no longer make by themselves
