"""What stands around a model while it is recorded: compilation, processes, contexts, failures, other probes."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import torch
from accelerate import disk_offload
from torch import nn

from mhc_probe import Attachment, attach
from tests.probe.attach.attachable import IDS
from tests.probe.attach.recorded import EITHER, assert_same, build, feed, go, record_pass
from tests.probe.attach.zoo import ZOO

pytestmark = pytest.mark.full


@EITHER
@pytest.mark.parametrize("in_place", [False, True])
def test_a_compiled_model_is_heard_as_it_is_written(name: str, in_place: bool) -> None:
    plain = record_pass(build(name), go)
    model = build(name)
    if in_place:
        model.compile(backend="eager")
        found = record_pass(model, go)
    else:
        found = record_pass(torch.compile(model, backend="eager"), go)
    assert_same(found, plain)


def test_a_model_that_is_compiled_while_heard_or_afterwards() -> None:
    plain = record_pass(build("Llama"), go)
    model = build("Llama")
    assert_same(record_pass(model, lambda model: go(torch.compile(model, backend="eager"))), plain)
    model.zero_grad()
    torch.compile(model, backend="eager")(input_ids=IDS, labels=IDS).loss.backward()  # no hook is left behind
    assert_same(record_pass(build("Llama"), go), plain)


@contextmanager
def one_process() -> Iterator[None]:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", rank=0, world_size=1, store=store)
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()


@EITHER
@pytest.mark.parametrize("outside", [False, True])
def test_distributed_data_parallel(name: str, outside: bool) -> None:
    """The probe on the wrapper, or on the model within."""
    plain = record_pass(build(name), go)
    with one_process():
        model = build(name)
        parallel = nn.parallel.DistributedDataParallel(model, find_unused_parameters=True)
        with attach(parallel if outside else model) as probe:
            go(parallel)
    assert_same(probe.result(), plain)


@EITHER
def test_a_model_whose_weights_come_and_go(name: str, tmp_path: Path) -> None:
    """As under `device_map`: a layer's weights are brought for its call, here from the disk, and taken away."""
    plain = record_pass(build(name), go_up)
    model = disk_offload(build(name), tmp_path, execution_device=torch.device("cpu"))
    assert all(parameter.is_meta for parameter in model.parameters())
    found = record_pass(model, go_up)
    assert_same(found, plain, keys=("act_rms", "branch_in_rms", "branch_out_rms"))


def go_up(model: nn.Module) -> None:
    with torch.no_grad():
        model(input_ids=IDS, labels=IDS)


@pytest.mark.parametrize("name", ["DeepSeek-V4", "Llama", "hyper-connections HC"])
def test_one_adapter_serves_several_attachments_and_leaves_nothing_behind(name: str) -> None:
    model, go = build(name), ZOO[name].feed
    plain = record_pass(model, lambda model: go(model).backward())
    candidates = attach(model).candidates
    for _ in range(2):
        model.zero_grad()
        with Attachment(model, candidates) as probe:
            go(model).backward()
        assert_same(probe.result(), plain, 1e-5)
    for module in model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert "width_connection" not in vars(module)
    assert not any(parameter._post_accumulate_grad_hooks for parameter in model.parameters())


def test_a_pass_that_fails_leaves_nothing_behind() -> None:
    model = build("Llama")
    with pytest.raises(RuntimeError, match="embedding"), attach(model) as probe:
        model(input_ids=IDS.float())
    assert not any(module._forward_hooks for module in model.modules())
    with pytest.raises(RuntimeError, match="recorded 0 of 3 layers"):
        probe.result()


@pytest.mark.parametrize("name", ["DeepSeek-V4", "Llama", "hyper-connections HC"])
def test_contexts_of_others_are_left_as_they_were(name: str) -> None:
    """Torch keeps contexts as that of a device on one stack: the probe's may not lie across them."""
    model, go = build(name), ZOO[name].feed
    with ExitStack() as stack:
        stack.enter_context(torch.device("meta"))
        probe = attach(model)
        with torch.device("cpu"):
            probe.__enter__()
            go(model).backward()
        assert torch.empty(1).device.type == "meta"
    probe.__exit__(None, None, None)
    assert torch.empty(1).device.type == "cpu"
    assert probe.result().depth > 2


def test_a_layer_that_fails_leaves_no_context_behind() -> None:
    model = build("Llama")
    model.model.layers[1].mlp.forward = None
    depth = torch._C._len_torch_function_stack()
    with pytest.raises(TypeError), attach(model):
        feed(model)
    assert torch._C._len_torch_function_stack() == depth
