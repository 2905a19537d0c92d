"""The pipeline as an MLServer runtime."""

from __future__ import annotations

import json

from mlserver import MLModel
from mlserver.codecs import Base64Codec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse

from bench.peers._pipeline import Pipeline


class Ecg(MLModel):
    async def load(self) -> bool:
        self.pipeline = Pipeline()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        [data] = Base64Codec.decode_input(payload.inputs[0])
        answer = json.dumps(self.pipeline(data))
        return InferenceResponse(model_name=self.name, outputs=[StringCodec.encode_output("answer", [answer])])
