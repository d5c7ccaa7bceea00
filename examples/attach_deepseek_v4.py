"""The probe on DeepSeek-V4 as transformers builds it, tiny and untrained: `pip install transformers`, then run this."""

import torch
from transformers import DeepseekV4Config, DeepseekV4ForCausalLM

from mhc_probe import attach

torch.manual_seed(0)
config = DeepseekV4Config(
    vocab_size=256,
    hidden_size=64,
    moe_intermediate_size=64,
    num_hidden_layers=6,
    num_attention_heads=4,
    head_dim=32,
    q_lora_rank=32,
    o_lora_rank=32,
    o_groups=2,
    n_routed_experts=4,
    num_experts_per_tok=2,
)
model = DeepseekV4ForCausalLM(config)
ids = torch.randint(256, (2, 32))

with attach(model) as probe:
    model(input_ids=ids, labels=ids).loss.backward()
result = probe.result()

for finding in result.summary.findings:
    print(finding.text)
print("layer  activation  gradient  column sums from 1")
columns = (result.layers[key] for key in ("act_rms", "grad_rms", "h_res_col_sum"))
for layer, (activation, gradient, sums) in enumerate(zip(*columns, strict=True)):
    print(f"{layer + 1:5}  {activation:10.3f}  {gradient:8.2e}  {abs(sums - 1).max():.1e}")
