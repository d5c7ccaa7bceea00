/** The frames of a record. Written by `make types` from `mhc_core/record`; changes belong there. */

export type RunSpec = Record<string, unknown>;

/** One line of a record. */
export type Frame =
  | StartFrame
  | ForwardFrame
  | SimilarityFrame
  | LossFrame
  | BackwardFrame
  | MixingFrame
  | StepFrame
  | JacobianFrame
  | ProgressFrame
  | BandsFrame
  | SummaryFrame
  | RecomputationFrame
  | AtlasFrame
  | LensFrame
  | EndFrame;

/** What every single cut of a stack does: the last frame of an atlas. Of several seeds their medians. */
export interface AtlasFrame {
  /** Id of the record. */
  run: string;
  /** Place of the frame in the record, from 0. */
  index: number;
  type: 'atlas';
  /** K ways of cutting. */
  cuts: Cut[];
  /** The loss without a cut. */
  loss_base: number | null;
  /** `loss`, `output_kl` and `effect_last`, (K, L, n) each, n being streams, or for cuts of a source over depth the
  most sources that a layer weighs: the loss with the cut, the KL divergence of the output
  from that without, and the relative distance of the last state; null where a value is not finite, the
  layer has no such part, or the read-out gives no distribution. */
  values: Record<string, Value>;
  /** How many seeds the medians are of. */
  seeds: number;
}

/** One layer of the backward pass: gradients. */
export interface BackwardFrame {
  /** Id of the record. */
  run: string;
  /** Place of the frame in the record, from 0. */
  index: number;
  type: 'backward';
  /** Updates made before, where the stack was trained. */
  step?: number;
  /** Counts down; -1 is the embedding's output. */
  layer: number;
  /** By metric: a number or (n), in the metric's unit; null where the status says why. */
  values: Record<string, Value>;
  /** Logarithms of metrics that span decades, known also where the value has left its range. */
  log10: Record<string, Value>;
  /** By metric, only where a value is not finite or has left the range of its type. */
  status: Record<string, Status>;
}

/** Percentiles over several seeds of every metric with one value per layer. */
export interface BandsFrame {
  /** Id of the record. */
  run: string;
  /** Place of the frame in the record, from 0. */
  index: number;
  type: 'bands';
  /** The first seed; the others follow it. */
  first: number;
  /** How many. */
  seeds: number;
  /** By metric `min`, `p05`, `p50`, `p95` and `max`, (L); log10 of metrics that span decades. */
  bands: Record<string, Record<string, Row>>;
  /** By metric and layer: seeds that have no number there; only where there are any. */
  lost: Record<string, Record<string, number>>;
  /** Of the composite gains each seed's largest log10 over depth, one entry per seed; null where it is not known. */
  largest: Record<string, Row>;
  /** Each seed's log10 of the gradient at the first layer over that at the last; null where one is not known. */
  gradient_growth?: Row;
}

/** What someone gave a model of their own. */
export interface CapturedInput {
  kind: 'captured';
  /** Tokens of all sequences, without padding where the model was given a mask; 0 of weights that were not run. */
  samples: number;
}

/** How CKA was estimated. */
export interface CkaEstimator {
  /** `unbiased` or `biased`. */
  estimator: string;
  /** Samples of each layer that were compared. */
  samples: number;
}

/** Whether bound and rounding of a singular value are small relative to it. */
export interface Convergence {
  sigma_max: boolean;
  sigma_min: boolean;
}

/** UTF-8 bytes of the text that comes with the package. */
export interface CorpusInput {
  kind: 'corpus';
  /** Where the text comes from. */
  dataset: string;
  licence: string;
  /** Bytes that training reads. */
  training_bytes: number;
  /** Bytes after them, which training never reads: measured passes do. */
  held_out_bytes: number;
  /** Bytes that the measured batch reads. */
  bytes_used: number;
}

/** Predicted cost of a run. */
export interface Cost {
  /** Trainable values of the stack. */
  parameters: number;
  /** Additions and multiplications of forward, backward and measurement. */
  flops: number;
  /** Bytes that forward and backward read and write. */
  bytes_moved: number;
  /** Largest memory of the process, libraries included. */
  peak_bytes: number;
  /** Time on one core; only in records of early versions, as it differs from machine to machine. */
  seconds?: number;
}

/** One way of cutting, as an edit names it. */
export interface Cut {
  what: string;
  do: string;
}

/** The device that computed. */
export interface Device {
  /** `cpu` or `cuda`. */
  type: string;
  /** The name that its maker gave it. */
  name: string;
}

/** Images of handwritten digits. */
export interface DigitsInput {
  kind: 'digits';
  /** Where the images come from. */
  dataset: string;
  licence: string;
  /** Images of the data set. */
  images: number;
  /** Which of them are in the batch. */
  drawn: number[];
  /** What these show. */
  digits: number[];
}

/** Vectors drawn at random. */
export interface DrawnInput {
  kind: 'gaussian' | 'correlated';
}

/** Raw parameters behind static residual mixing, at any drift: those of layer l are origin + noise * draws[l]. */
export interface Drift {
  /** Where they start, (m), the same in every layer. */
  origin: Row;
  /** Standard normal draws, (L, m), float32. */
  draws: Value;
}

/** How it ended. The engine appends it; nothing follows. */
export interface EndFrame {
  /** Id of the record. */
  run: string;
  /** Place of the frame in the record, from 0. */
  index: number;
  type: 'end';
  status: 'done' | 'failed' | 'cancelled';
  /** Why, where it failed. */
  reason: string | null;
}

/** One sentence, made from its numbers. */
export interface Finding {
  /** Kind of finding. */
  key: string;
  text: string;
  /** Key of the panel that shows it. */
  panel: string;
  /** What the sentence says, by name. */
  numbers: Record<string, number | null>;
  /** The end of `text`, without the words that name the edits; only of the finding on the effect of edits. */
  statement?: string;
}

/** One layer of the forward pass: states, branch, mixing matrices. */
export interface ForwardFrame {
  /** Id of the record. */
  run: string;
  /** Place of the frame in the record, from 0. */
  index: number;
  type: 'forward';
  /** Updates made before, where the stack was trained. */
  step?: number;
  /** From 0; -1 is the embedding's output. */
  layer: number;
  /** By metric: a number, (n) or (n, n), in the metric's unit; null where the status says why. */
  values: Record<string, Value>;
  /** Logarithms of metrics that span decades, known also where the value has left its range. */
  log10: Record<string, Value>;
  /** By metric, only where a value is not finite or has left the range of its type. */
  status: Record<string, Status>;
}

/** The one number that stands for a record. */
export interface Headline {
  /** What it is. */
  label: string;
  /** Null where beyond float64. */
  value: number | null;
  log10: number | null;
  /** As people read it. */
  text: string;
}

/** Extreme singular values of the stack's Jacobian. */
export interface JacobianFrame {
  /** Id of the record. */
  run: string;
  /** Place of the frame in the record, from 0. */
  index: number;
  type: 'jacobian';
  /** By metric: a number, or all Ritz values. */
  values: Record<string, Value>;
  log10: Record<string, Value>;
  status: Record<string, Status>;
  /** Pairs of products with vectors that were made. */
  products: number;
  /** Entries of a vector. */
  dimension: number;
  converged: Convergence;
}

/** A curve of theory for one metric, to eight digits; null where beyond float64. */
export interface Law {
  /** Key of the law. */
  law: string;
  /** Key of the metric that it predicts. */
  metric: string;
  /** Median over draws, (L). */
  values: (number | null)[];
  /** Lower end of the band, (L). */
  low: (number | null)[];
  /** Upper end of the band, (L). */
  high: (number | null)[];
  /** The logarithms where the metric spans decades, else null; so are the following two. */
  values_log10: (number | null)[] | null;
  low_log10: (number | null)[] | null;
  high_log10: (number | null)[] | null;
  formula: string;
  /** Where the law comes from. */
  source: string;
  /** When it holds, in one sentence. */
  holds: string;
}

/** What the read-out makes of every state, and what linear probes read from each stream: the last frame of a lens.

Rows R are the embedding and what leaves each layer. */
export interface LensFrame {
  /** Id of the record. */
  run: string;
  /** Place of the frame in the record, from 0. */
  index: number;
  type: 'lens';
  /** S subsets of the streams: each stream alone first, all together last. */
  subsets: number[][];
  /** KL divergence from the stack's own output, in nats: `kl` of the state (R), `kl_subsets` where the other streams
  are 0 (R, S), `kl_branches` of the branch's output alone (L). `top`: probabilities of the likeliest tokens (R, k).
  `probe`: accuracy of linear probes on held-out data, (P, R, n) by target, row and stream. */
  values: Record<string, Value>;
  /** The likeliest tokens of one position in words, (R, k). */
  tokens: string[][];
  /** What was read up to that position. */
  context: string;
  /** What follows there in the data. */
  target: string;
  /** P targets of the probes. */
  targets: string[];
  /** Of each target the accuracy of the class that is most frequent where probes are fitted. */
  chance: number[];
  /** How many tokens the accuracies are of. */
  probed: number;
}

/** The loss, between the forward and the backward pass. */
export interface LossFrame {
  /** Id of the record. */
  run: string;
  /** Place of the frame in the record, from 0. */
  index: number;
  type: 'loss';
  /** Updates made before, where the stack was trained. */
  step?: number;
  /** `loss`: nats of a text or of digits; null where it is not finite. Of an edited run also `loss_base`, the loss
  without edits, and where the output is a distribution `output_kl`, its divergence from the output without edits. */
  values: Record<string, number | null>;
  status: Record<string, Status>;
}

/** A premise that the spec does not meet, for which no law predicts a metric. */
export interface MissingPremise {
  /** Path of the field of the spec. */
  field: string;
  /** What it holds. */
  got: string | number | boolean | null;
  /** What the law wants of it. */
  wanted: string;
}

/** Products of mixing matrices and gradients of the mixing, in float64, sent after the pass. */
export interface MixingFrame {
  /** Id of the record. */
  run: string;
  /** Place of the frame in the record, from 0. */
  index: number;
  type: 'mixing';
  /** Updates made before, where the stack was trained. */
  step?: number;
  /** By metric: a column over the layers, (L); `unfolded` is (L, L + 1). */
  values: Record<string, Value>;
  /** Logarithms of metrics that span decades, (L). */
  log10: Record<string, Value>;
  /** By metric and layer, only where a value is not finite or has left the range of its type. */
  status: Record<string, Record<string, Status>>;
}

/** The model that a trace was taken of. */
export interface Model {
  /** Name of its class. */
  name: string;
  /** Trainable and frozen values together. */
  parameters: number;
}

export type Numbers = Row | Row[] | Row[][];

/** An array as Plotly packs it: little-endian values in base64, row by row. */
export interface PackedArray {
  /** f4, f8, i1, u1, i2, u2, i4 or u4. */
  dtype: string;
  bdata: string;
  /** Sizes of the axes, separated by commas. */
  shape: string;
}

/** How much of a long stage is done. */
export interface ProgressFrame {
  /** Id of the record. */
  run: string;
  /** Place of the frame in the record, from 0. */
  index: number;
  type: 'progress';
  stage: 'seeds' | 'atlas' | 'lens';
  /** Share, from 0 to 1. */
  done: number;
}

/** A spec computed once more, in float64 and by plain autograd: the one frame of a verification.

Of a run that trains it is the first step, before any update. */
export interface RecomputationFrame {
  /** Id of the record. */
  run: string;
  /** Place of the frame in the record, from 0. */
  index: number;
  type: 'recomputation';
  /** Every column and matrix of the run by metric, singular values of its Jacobian as rows; null where there is no
  value, or none within float64. Of CKA each layer has those before it. Early records have ten columns. */
  columns: Record<string, Value>;
  loss: number | null;
  /** What one rounding per layer in the run's type does to the loss, by passes whose states are disturbed. */
  loss_unsure: number | null;
  /** The same of the columns, (L): in decades where values span decades. */
  unsure: Record<string, Value>;
  /** Largest relative error of the stream mean law, where it is due. */
  mean_law_error?: number;
  /** Errors of exact relations by name, (L); null where a relation could not be evaluated. Early records have none.
  
  `adjoint_lost`, where present, is 1 in layers whose states or gradients are subnormal in float64. */
  identities?: Record<string, Value>;
}

export type Row = (number | null)[];

/** CKA of one layer with itself and every layer before it. */
export interface SimilarityFrame {
  /** Id of the record. */
  run: string;
  /** Place of the frame in the record, from 0. */
  index: number;
  type: 'similarity';
  /** Updates made before, where the stack was trained. */
  step?: number;
  /** From 0. */
  layer: number;
  /** One row, (layer + 1), from 0 to 1; null where this layer or the other has a status. */
  cka: Row;
  /** Why the layer has no CKA; `constant` where it is the same for all samples. Records of numerics 1 do not say. */
  status?: Record<string, Status>;
}

/** What was measured. A run has a `spec`; a trace has a `source` instead, and knows of nothing below `input`. */
export interface StartFrame {
  /** Id of the record. */
  run: string;
  /** Place of the frame in the record, from 0. */
  index: number;
  type: 'start';
  /** The spec of a run in its canonical form. */
  spec?: RunSpec;
  /** Where a trace comes from. */
  source?: TraceSource;
  /** Predicted cost of a run. */
  cost?: Cost;
  device: Device;
  versions: Versions;
  /** L, one for each residual branch. */
  layers: number;
  /** n, parallel residual streams. */
  streams: number;
  /** C, features of a stream, or of all parts where streams are parts of the width; early records do not say. */
  width?: number;
  /** What each layer's branch is, (L). */
  blocks: string[];
  /** What the stack or the model was given. */
  input: TextInput | CorpusInput | DrawnInput | DigitsInput | CapturedInput;
  /** How CKA was estimated; early records and traces do not say. */
  cka?: CkaEstimator;
  /** Laws whose premises the spec meets. */
  theory?: Law[];
  /** Of a run with static mixing that drifts and is not trained; early records do not say. */
  drift?: Drift;
  /** By metric that some law speaks of and none that applies: the premise that is not met. */
  no_law?: Record<string, MissingPremise>;
}

export type Status = 'overflow' | 'underflow' | 'constant' | 'nan' | 'unknown';

/** One step of training: what its pass measured, before the update. */
export interface StepFrame {
  /** Id of the record. */
  run: string;
  /** Place of the frame in the record, from 0. */
  index: number;
  type: 'step';
  /** From 0. */
  step: number;
  /** Of a trace: updates that the trainer had made before, which need not be those that were watched. */
  iteration?: number;
  /** By metric: a number, a column (L), or at steps that are kept matrices (L, n), (L, n, n), (L, L), (L, L + 1). */
  values: Record<string, Value>;
  /** Logarithms of metrics that span decades. */
  log10: Record<string, Value>;
  /** By metric: one status, or of columns over the layers one by layer. */
  status: Record<string, Status | Record<string, Status>>;
  /** At steps that are kept: `act_rms_streams` and `grad_rms_streams` of the state before the layers, (n). */
  input?: Record<string, Value>;
  /** Of a trace that grows: what is known in words at this step. */
  story?: Story;
}

/** What is known in words at one step of a trace that grows. */
export interface Story {
  headline: Headline;
  /** Alarms first, then what was recorded, then the record's own story. */
  findings: Finding[];
}

/** The record in words. */
export interface SummaryFrame {
  /** Id of the record. */
  run: string;
  /** Place of the frame in the record, from 0. */
  index: number;
  type: 'summary';
  headline: Headline;
  /** The record's own story first. */
  findings: Finding[];
}

/** UTF-8 bytes of a text. */
export interface TextInput {
  kind: 'text';
  /** Bytes of the text. */
  bytes: number;
  /** Bytes that the batch reads. */
  bytes_used: number;
  /** How often a text shorter than a window was repeated. */
  repeated: number;
}

/** A trace of a model from elsewhere. */
export interface TraceSource {
  kind: 'trace';
  /** What was traced. */
  model: Model;
  /** Versions of the libraries that the model is made of, by name. */
  versions: Record<string, string>;
  /** The edits with which it ran, as those of a spec; only where there were any. */
  edits?: Record<string, unknown>[];
}

export type Value = number | Numbers | PackedArray | null;

/** Versions of what measured. */
export interface Versions {
  mhc_scope: string;
  torch: string;
  numpy: string;
  /** Version of the numerics of a run, which is part of its id; a trace has none. */
  numerics?: number;
}
