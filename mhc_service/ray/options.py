"""What the bridge has to know: the server sends it as its first message."""

from dataclasses import asdict, dataclass

import orjson

from mhc_service.settings import ServiceSettings


@dataclass(frozen=True)
class Options:
    """The part of the settings that concerns the cluster."""

    address: str
    cpus: int  # of a run with large tensors
    gpus: float  # of a run that may use one
    wait_s: float  # how long a run waits for what others use
    memory_bytes: int  # that one worker may allocate

    @classmethod
    def from_settings(cls, settings: ServiceSettings) -> "Options":
        """As the operator has set them."""
        return cls(
            settings.ray_address,
            settings.ray_cpus,
            settings.ray_gpus,
            settings.ray_wait_s,
            settings.worker_memory_bytes,
        )

    def encode(self) -> bytes:
        """One line of JSON."""
        return orjson.dumps(asdict(self)) + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> "Options":
        """The other end of `encode`."""
        return cls(**orjson.loads(line))
