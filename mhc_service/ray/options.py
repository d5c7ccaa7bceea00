"""Define the options of the bridge, which the server sends as its first message."""

from dataclasses import asdict, dataclass

import orjson

from mhc_service.settings import ServiceSettings


@dataclass(frozen=True)
class Options:
    """The settings that concern the cluster."""

    address: str
    cpus: int  # for a run with large tensors
    gpus: float  # for a run that may use a GPU
    wait_s: float  # longest wait of a run for resources that others use
    memory_bytes: int  # memory that one worker may allocate
    trained: str = ""  # folder of trained stacks on the workers' machines; "" for none

    @classmethod
    def from_settings(cls, settings: ServiceSettings) -> "Options":
        """Build the options of the Ray engine from the operator's settings."""
        return cls(
            settings.ray_address,
            settings.ray_cpus,
            settings.ray_gpus,
            settings.ray_wait_s,
            settings.worker_memory_bytes,
            settings.ray_trained,
        )

    def encode(self) -> bytes:
        """Encode the bridge's options as one line of JSON."""
        return orjson.dumps(asdict(self)) + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> "Options":
        """Decode the bridge's options from the result of `encode`."""
        return cls(**orjson.loads(line))
