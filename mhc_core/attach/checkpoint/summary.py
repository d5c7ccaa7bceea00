"""What the static mixing of a checkpoint says in words, and what such a record cannot know."""

from mhc_core.attach.checkpoint.mixing import StaticMixing
from mhc_core.findings.gains import build_headline
from mhc_core.findings.mixing import describe_captured
from mhc_core.findings.streams import describe_ignored_streams, describe_uniform
from mhc_core.findings.words import build_finding
from mhc_core.record.frames import SummaryFrame
from mhc_core.record.result import Result
from mhc_core.record.summary import Finding

UNKNOWN = (
    "Read from a checkpoint, without running it. Coefficients are those of the biases alone: the part that depends on "
    "the token is left out. Activations, gradients and similarity are not known."
)
# What is known of the form itself.
OF_FORM = {
    "mixed": "",
    "passed": " Streams pass every layer unmixed, by construction.",
    "gated": (
        " Streams pass every layer unmixed, by construction; there are no biases, so that H_post is 1, and H_pre is "
        "not known: a gate weighs every channel."
    ),
}
SAID = {"hc_eps": "an epsilon of 1e-6", "hc_sinkhorn_iters": "20 Sinkhorn rounds", "hc_magnitude": "H_post up to 2"}


def summarise_checkpoint(mixing: StaticMixing, result: Result) -> SummaryFrame:
    """The summary frame of a checkpoint's record."""
    told = [
        describe_captured(result) if mixing.form == "mixed" else None,
        _describe_source(mixing),
        describe_ignored_streams(result),
        describe_uniform(result),
    ]
    headline = build_headline(result, is_fixed=mixing.form != "mixed" or result.streams == 1)
    return SummaryFrame(headline=headline, findings=[found for found in told if found])


def _describe_source(mixing: StaticMixing) -> Finding:
    """What was read, what is assumed, and what is left out."""
    text = UNKNOWN + OF_FORM[mixing.form]
    if mixing.assumed:
        text += f" No config.json says otherwise, so that {' and '.join(SAID[name] for name in mixing.assumed)} count."
    return build_finding("checkpoint", text, "mixing", {"layers": len(mixing.h_post)})
