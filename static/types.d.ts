/** Types that the page's modules share. Nothing here reaches the browser. */

import type { Finding, Headline, StartFrame } from './protocol';

export type * from './protocol';

export type Numbers = Float64Array | Float32Array;

/** A stack of matrices or one matrix, row-major. */
export interface Matrix {
  shape: number[];
  data: Numbers;
}

/** Columns of a run, accumulated by `columns.js`. */
export interface Columns {
  start: StartFrame | null;
  layers: Map<string, Numbers[] | Numbers>;
  log10: Map<string, Numbers[] | Numbers>;
  status: Map<string, Map<number, string>>;
  matrices: Map<string, Matrix>;
  /** Rows are training steps; a column with one value per step has one axis. */
  steps: Map<string, Matrix>;
  stepsLog10: Map<string, Matrix>;
  /** Metric to step to status, or to status by layer for columns over layers. */
  stepsStatus: Map<string, Map<number, string | Map<number, string>>>;
  /** Mixing and CKA of all layers at each of `keptSteps`; mixing is null if it was not finite. */
  kept: Map<string, (Matrix | null)[]>;
  keptSteps: number[];
  /** By kept step: sizes and gradients of the streams before the layers. */
  stepInputs: Map<number, Record<string, any>>;
  trained: number;
  /** Of a recording, by step: earlier updates of its trainer. */
  iterations: number[];
  /** Metric to its percentiles over seeds, each with one number per layer. */
  bands: Map<string, Record<string, Numbers>>;
  /** Metrics without data at the shown step. */
  unknown: Set<string>;
  /** Share of the other seeds that are done; null before they begin. */
  progress: number | null;
  input: Record<string, any>;
  loss: number | null;
  /** Loss without the edits; null without edits. */
  lossBase: number | null;
  summary: { headline: Headline; findings: Finding[] } | null;
  /** Of a growing recording: findings of its latest step. */
  story: { headline: Headline; findings: Finding[] } | null;
  end: { status: string; reason: string | null } | null;
  /** Index of the last frame; of training steps, which may come later, `lastStep`. */
  last: number;
  lastStep: number;
  /** Whether the frames of training steps are on the server only. */
  lacksSteps: boolean;
  versions: Map<string, number>;
  /** Of derived columns: metrics that need a pass. Empty for columns of the server. */
  waits: Set<string>;
  /** Whether a recording came with an atlas. */
  hasAtlas: boolean;
}

export interface Trace {
  meta: {
    run: number;
    key: string;
    end?: boolean;
    parts?: string;
    fill: Record<string, string>;
    /** Attributes that follow the method of the run, besides the colour. */
    look?: { dash?: boolean; weight?: number; fill?: boolean };
  };
  [key: string]: any;
}
export interface Figure {
  data: Trace[];
  layout: Record<string, any>;
}

export interface RunStyle {
  color: string;
  dash: string;
  marker: string;
  width: number;
}
export interface PanelView {
  key: string;
  title: string;
  meaning: string;
  unit: string;
  needs: string;
  figure: Figure;
}
export interface Panel {
  key: string;
  title: string;
  unit: string;
  meaning: string;
  help: { formula: string; reading: string; symbol: string; source: string };
  group: string;
  live: boolean;
  follows_step: boolean;
  figure: Figure;
  views: PanelView[];
  table: { title: string; key: string; source: string }[];
}
/** Metrics of training steps: metric to the column of its frame, at every step or at kept ones. */
export interface StepRules {
  columns: Record<string, string>;
  kept_columns: Record<string, string>;
  matrices: Record<string, string>;
  /** Kept columns that span decades. */
  logarithmic: string[];
  /** Prefixes of metrics that no step has. */
  unknown: string[];
}
/** Sizes and limits of figures, as `mhc_core/figures` defines and explains them. */
export interface FigureRules {
  min_span: Record<string, number>;
  window_columns: number;
  few_layers: number;
  max_ticks: number;
  min_steps: number;
  room_for_one: number;
  no_difference: string;
  steps: StepRules;
}
export interface Templates {
  panels: Panel[];
  rules: FigureRules;
}

export type Value = number | string | boolean;

/** A leaf of the schema. */
export interface Field {
  path: string;
  group: string;
  title: string;
  description: string;
  control: string;
  unit: string;
  type: string;
  initial: Value;
  options: string[] | null;
  min: number | null;
  /** Whether the minimum is exclusive. */
  is_open: boolean;
  max: number | null;
  step: number | null;
  /** Alternatives: the field applies if all conditions of one of them hold. */
  applies: Record<string, string | Value[]>[];
}

/** What the page shows; the address contains all of it. */
export interface View {
  base: Record<string, Value>;
  runs: Choice[];
  cursor: number | null;
  sweep?: SweepChoice;
  /** The preset that it came from. */
  preset?: string;
  /** Whether runs are drawn relative to the first. */
  difference?: boolean;
  /** The cursor's training step from 0; default: the trained stack. */
  step?: number;
  /** First and last shown layer, from 0; default: all. */
  interval?: { first: number; last: number };
  /** The view of a panel's card, by panel key; default: the first. */
  cards?: Record<string, string>;
  /** The open sections; default: those of the panels in `cards`. */
  open?: string[];
}
/** Choices of an open sweep: the varied run, its fields, and the number of each cell. */
export interface SweepChoice {
  run: number;
  x: SweepAxis;
  y?: SweepAxis;
  metric: string;
  reduce: string;
}
export interface SweepAxis {
  path: string;
  values: number[];
}
/** One of the compared runs: its connection, own settings, and name. */
export interface Choice {
  kind: string;
  own: Record<string, Value>;
  name?: string;
  /** Id of the record of a recording. */
  trace?: string;
}

export interface Cost {
  parameters: number;
  flops: number;
  bytes_moved: number;
  peak_bytes: number;
  seconds: number;
  seconds_low: number;
  seconds_likely: number;
  seconds_high: number;
}
/** The effect of every single cut of a run. Arrays have axes cut, layer, stream; null until it is done, entries null where not finite. */
export interface Atlas {
  run: string;
  status: string;
  /** Share of the layers that are cut. */
  done: number;
  cuts: { what: string; do: string }[];
  seeds: number | null;
  loss_base: number | null;
  loss: (number | null)[][][] | null;
  output_kl: (number | null)[][][] | null;
  effect_last: (number | null)[][][] | null;
}
export interface Submitted {
  id: string;
  status: string;
  position: number | null;
  cost: Cost;
}
export interface Estimate extends Cost {
  id: string;
  admitted: boolean;
  errors: FieldError[];
}
export interface ConnectionCost {
  connection: string;
  parameters: number;
  flops: number;
  bytes_moved: number;
  peak_bytes: number;
  seconds: number;
  seconds_low: number;
  seconds_likely: number;
  seconds_high: number;
  /** By measure: overhead over the residual connection, as text. */
  added: Record<string, string>;
}
/** Overhead of a connection in a model; ratios are relative to the residual model. */
export interface AddedCost {
  flops_ratio: number;
  flops_added: string;
  traffic_ratio: number;
}
export interface PaperCosts {
  models: { shape: { name: string }; hc: AddedCost; mhc: AddedCost }[];
  published_overhead: number;
  single_pass_ratio: number;
  published_source: string;
}
export interface Check {
  law: string;
  metric: string;
  layer: number | null;
  scale: 'linear' | 'log10';
  expected: number | null;
  measured: number | null;
  tolerance: number | null;
  verdict: 'holds' | 'fails' | 'skipped';
  statement: string;
  source: string;
  detects: string;
}
export interface Verification {
  run: string;
  status: string;
  verdict: Check['verdict'] | null;
  summary: string;
  checks: Check[];
}
export interface LensProbe {
  target: string;
  chance: number;
  accuracy: (number | null)[][];
}
/** Rows are the embedding and what leaves each layer. All but the first three are null until it is done. */
export interface Lens {
  run: string;
  status: string;
  done: number;
  subsets: number[][];
  kl: (number | null)[];
  kl_subsets: (number | null)[][];
  kl_branches: (number | null)[];
  tokens: { token: string; probability: number | null }[][];
  context: string;
  target: string;
  probes: LensProbe[];
  probed: number;
}
/** Why a run lacks a metric, under one condition: `unknown`, at the shown training step; `with`, it has a matrix; `without`, it has none of several streams. */
export interface AbsentReason {
  text: string;
  unknown?: true;
  with?: string;
  without?: string;
}
/** The text of a figure for runs that ended without its metric, and more precise reasons. */
export interface Absent {
  key: string;
  text: string;
  reasons?: AbsentReason[];
}
export interface FieldError {
  field: string;
  got: unknown;
  wanted: string;
}
export interface Preset {
  name: string;
  title: string;
  description: string;
  group: { key: string; title: string };
  specs: { label: string; id: string; spec: any }[];
  metric: { key: string; title: string; scale: string };
  reduce: string;
  /** The number of each run: that of the metric, or by how many % edits raise its perplexity. */
  number: 'metric' | 'perplexity';
  /** Name of each run's number. */
  told: string;
  panel: string;
  /** View of the panel; null for the first. */
  view: string | null;
  /** `numbers`: the source's numbers, by label of the run. */
  reference: { source: string; says: string; scale: string; numbers: Record<string, string> } | null;
  plays: string | null;
}
export interface Presets {
  presets: Preset[];
}
/** Sketch of a preset: for each run a curve on the scale of the metric, and one number. */
export interface PresetSketch {
  name: string;
  runs: {
    id: string;
    curve: (number | null)[];
    value: number | null;
    log10: number | null;
    status: string;
  }[];
}
export interface Snapshot {
  id: string;
  url: string;
  runs: string[];
  state: string;
  title: string;
  note: string;
  created_at: string;
  /** Expiry if nobody visits it before; null if it never expires. */
  expires_at: string | null;
  sweep: SnapshotSweep | null;
}
/** Addresses of a sweep's numbers and figure. */
export interface SweepLinks {
  values: string;
  figure: string;
}
/** The sweep of a snapshot. */
export interface SnapshotSweep extends SweepLinks {
  id: string;
  counts: Record<string, number>;
}
export interface Metric {
  key: string;
  title: string;
  meaning: string;
  frame: string;
  table: string;
}
/** One number of each run of a sweep, row by row. */
export interface SweepValues {
  id: string;
  /** Name of each cell's number. */
  title: string;
  metric: { key: string; title: string; unit: string; scale: string; meaning: string; formula: string; source: string };
  reduce: string;
  ids: string[][];
  values: (number | null)[][];
  log10: (number | null)[][];
  status: string[][];
  /** Run id to why it failed. */
  reasons: Record<string, string>;
  counts: Record<string, number>;
  is_open: boolean;
}
/** Constants of views that server and page share. */
export interface ViewRules {
  /** Letters of runs; their count is the largest number of runs of a view. */
  letters: string;
  /** Largest number of characters of a run's name. */
  name_length: number;
  /** Connections of the default view. */
  kinds: string[];
  /** Specs of the first screen. */
  opening: any[];
  /** The same comparison without noise, trained on text. */
  trained: any[];
  /** Connections by kind: name in figures, and year of the paper. */
  connections: Record<
    string,
    {
      name: string;
      year: number | null;
      has_streams: boolean;
      /** Whether layers read, mix and write streams by coefficients; false for attention over depth. */
      has_mixing: boolean;
      /** Where layers read earlier outputs: whether these are weighed after each layer or after each block of layers; else null. */
      weighs_after: 'layer' | 'block' | null;
      /** Whether the streams are parts of the width, so that H_pre is a matrix. */
      has_parts: boolean;
      /** Streams of every run with this connection; null if they are a setting. */
      fixed_streams: number | null;
      /** Whether the mixing is unconstrained, so that the drift moves its entries directly. */
      is_free: boolean;
    }
  >;
  /** Connections by what their mixing is constrained to, in the order of lists; a group can be empty. */
  groups: { title: string; kinds: string[] }[];
  /** Default number of a sweep. */
  map: { metric: string; reduce: string };
  /** Keys of the hash that the server reads too. */
  keys: { name: string; map: string; metric: string; reduce: string; preset: string };
  /** Styles of a method's first, second, … run. */
  methods: Record<string, { marker: string; dashes: string[]; widths: number[]; light: string[]; dark: string[] }>;
  /** Panels that show training step by step, so that their runs are loaded with all steps. */
  panels_over_steps: string[];
  derivation: DerivationRules;
  edits: EditRules;
  /** Initialisations with which dynamic mixing differs from static before training, and the connections that have them. */
  dynamic: { inits: string[]; kinds: string[] };
  /** Names of costs. */
  costs: Record<'parameters' | 'flops' | 'bytes_moved' | 'peak_bytes' | 'seconds', string>;
}
/** An edit of a spec; layers, streams, rows and entries count from 0. */
export interface Edit {
  layers: [number, number];
  what: string;
  index?: number;
  do: string;
  value?: number;
  other?: number;
  values?: number[];
  k?: number;
  /** Whether it is switched off: it stays in the view and is not sent. */
  isOff?: boolean;
}
/** What can be edited how. */
export interface EditRules {
  /** What can be done, by what is edited. */
  does: Record<string, string[]>;
  /** What can be done only with a further value, by the name of that value. */
  needs: Record<string, string[]>;
  /** What is edited of the mixing. */
  mixed: string[];
  /** Largest number of edits. */
  most: number;
  /** Largest count of numbers that an edit sets. */
  entries: number;
}
/** Rounds a result to the type of a run: to float32, or not at all. */
export type Round = (value: number) => number;
/** Settings of a residual map. `layers`: depth of the stack. */
export interface MapSettings {
  n: number;
  layers: number;
  rounds: number;
  eps: number;
  round: Round;
}
/** Maps the raw parameters of a layer to its H_res (n, n), whose rows are outputs. */
export type ResidualMap = (raw: Float64Array, settings: MapSettings) => Float64Array;
/** Rules for deriving columns without the server. */
export interface DerivationRules {
  /**
   * By connection: the formula of its mixing, a file of `js/derived/maps`; nothing can be derived for other connections. `layers`: largest depth at which
   * float32 products agree with the server's to 1e-6, null for no limit. `iterates`: whether the formula repeats Sinkhorn rounds.
   */
  maps: Record<string, { formula: string; iterates: boolean; layers: number | null }>;
  /** Version of the server's numerics. */
  numerics: number;
  /** Metrics whose column in a shallower stack equals the start of a deeper stack's. */
  prefix: string[];
  /** Metrics of the forward pass, layer by layer. */
  forward: string[];
  /** Promised relative precision of products of layers, by metric. */
  relative: Record<string, number>;
  /** Metrics whose promised precision has an absolute part. */
  absolute: string[];
  /** Values of `block.scaling` with which layers depend on the depth. */
  depth_scaled: string[];
  /** Connections whose mixing always depends on tokens. */
  by_token: string[];
  /** Connections whose mixing of a layer depends on the depth. */
  by_depth: string[];
  /** Depth above which CKA uses fewer samples. */
  cka_layers: number;
}

export interface Boot {
  page: string;
  /** Path prefix of the server behind a proxy; empty by default. */
  root: string;
  version: string;
  /** Of a page without a server: values of settings for which runs of the opening view exist. */
  site?: { grid: Record<string, number[]> };
  /** Number of workers, on pages that can start runs. */
  workers?: number;
  /** Longest predicted duration of runs that can use one more worker. */
  short_run_s?: number;
  rules: ViewRules;
  snapshot?: Snapshot;
  /** The preset of a preset's page. */
  preset?: Preset;
  runs?: string[];
  state?: string;
  sweep?: SnapshotSweep | null;
  panel?: string;
  theme?: 'dark' | 'light';
  /** View of the embedded panel; default: the first. */
  view?: string;
}

declare global {
  interface Window {
    Plotly: any;
  }
  const Plotly: any;
}
