"""LitServe with as many workers as the service has processes; it takes JSON, so the file comes as base64."""

import base64
import sys
from typing import Any

import litserve as ls

from bench.peers._pipeline import Pipeline


class Api(ls.LitAPI):
    def setup(self, device: str) -> None:
        self.pipeline = Pipeline()

    def decode_request(self, request: dict[str, str]) -> bytes:
        return base64.b64decode(request["data"])

    def predict(self, data: bytes) -> dict[str, Any]:
        return self.pipeline(data)

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        return output


if __name__ == "__main__":
    server = ls.LitServer(Api(api_path="/predict"), accelerator="cpu", workers_per_device=int(sys.argv[2]))
    server.run(host="127.0.0.1", port=int(sys.argv[1]), log_level="error", generate_client_file=False)
