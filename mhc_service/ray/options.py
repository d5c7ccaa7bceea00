"""Define the options of the bridge: the server sends them as its first message."""

from dataclasses import asdict, dataclass

import orjson

from mhc_service.settings import ServiceSettings


@dataclass(frozen=True)
class Options:
    """Define the settings that concern the cluster."""

    address: str
    cpus: int  # of a run with large tensors
    gpus: float  # of a run that may use one
    wait_s: float  # how long a run waits for resources that others use
    memory_bytes: int  # that one worker may allocate
    trained: str = ""  # folder of trained stacks on the workers' machines; empty for none

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
