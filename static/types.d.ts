/** Shapes that the page's modules share. Types alone: nothing here reaches the browser. */

import type { Finding, Headline, StartFrame } from './types/protocol';

export type * from './types/protocol';

export type Numbers = Float64Array | Float32Array;

/** A stack of matrices or one matrix, row-major. */
export interface Matrix {
  shape: number[];
  data: Numbers;
}

/** One run's columns, as `columns.js` adds them up. */
export interface Columns {
  start: StartFrame | null;
  layers: Map<string, Numbers[] | Numbers>;
  log10: Map<string, Numbers[] | Numbers>;
  status: Map<string, Map<number, string>>;
  matrices: Map<string, Matrix>;
  /** Rows are steps of training; a column of one value a step has one axis. */
  steps: Map<string, Matrix>;
  stepsLog10: Map<string, Matrix>;
  /** Metric to step to status, or of a column over the layers to status by layer. */
  stepsStatus: Map<string, Map<number, string | Map<number, string>>>;
  /** Mixing and CKA of all layers at each of `keptSteps`; mixing is null where it was not finite. */
  kept: Map<string, (Matrix | null)[]>;
  keptSteps: number[];
  /** By step, of those that are kept: sizes and gradients of the streams before the layers. */
  stepInputs: Map<number, Record<string, any>>;
  trained: number;
  /** Of a trace, by step: updates that its trainer had made before. */
  iterations: number[];
  /** Metric to its percentiles over seeds, each one number a layer. */
  bands: Map<string, Record<string, Numbers>>;
  /** Metrics without data at the step that is shown. */
  unknown: Set<string>;
  /** Share of the other seeds that is done; null before they begin. */
  progress: number | null;
  input: Record<string, any>;
  loss: number | null;
  summary: { headline: Headline; findings: Finding[] } | null;
  /** Of a trace that grows: what its latest step says in words. */
  story: { headline: Headline; findings: Finding[] } | null;
  end: { status: string; reason: string | null } | null;
  last: number;
  versions: Map<string, number>;
  /** Of columns known at once: metrics that only a pass can tell. Empty of what a server has said. */
  waits: Set<string>;
}

export interface Trace {
  meta: {
    run: number;
    key: string;
    end?: boolean;
    parts?: string;
    fill: Record<string, string>;
    /** What of the trace follows the method of its run besides the colour. */
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
/** What a step of training shows: metric to the column of its frame, at every step or at kept ones. */
export interface StepRules {
  columns: Record<string, string>;
  kept_columns: Record<string, string>;
  matrices: Record<string, string>;
  /** Kept columns that span decades. */
  logarithmic: string[];
  /** Beginnings of metrics that no step has. */
  unknown: string[];
}
/** Sizes and limits of figures, as `mhc_core/figures/fill` defines and explains them. */
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
  /** Whether the least itself is not allowed. */
  is_open: boolean;
  max: number | null;
  step: number | null;
  /** Alternatives: the field means anything where all conditions of one of them hold. */
  applies: Record<string, string | Value[]>[];
}

/** What the page shows: everything in it stands in the address. */
export interface View {
  base: Record<string, Value>;
  runs: Choice[];
  cursor: number | null;
  map?: MapChoice;
  /** The preset that it came from. */
  preset?: string;
  /** Each run is drawn against the first. */
  difference?: boolean;
  /** The cursor's step of training from 0; without it the last. */
  step?: number;
  /** First and last layer, from 0, that are shown and spoken of where that is not all of them. */
  interval?: { first: number; last: number };
  /** The view of a panel's card, by its key; without it the first. */
  cards?: Record<string, string>;
  /** The open sections; without it those of the panels in `cards`. */
  open?: string[];
}
/** A map that is open: the run that is varied, over which fields, and what is told of each cell. */
export interface MapChoice {
  run: number;
  x: MapAxis;
  y?: MapAxis;
  metric: string;
  reduce: string;
}
export interface MapAxis {
  path: string;
  values: number[];
}
/** One of the compared runs: its connection, the settings that it has for itself, and what someone calls it. */
export interface Choice {
  kind: string;
  own: Record<string, Value>;
  name?: string;
  /** Of a trace: the id of its record. */
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
  /** By measure: what it adds to the residual connection's cost, in words. */
  added: Record<string, string>;
}
/** What a connection adds to a model; ratios are to the residual model's own figure. */
export interface AddedCost {
  flops_ratio: number;
  flops_added: string;
  traffic_ratio: number;
}
export interface PaperCosts {
  models: { shape: { name: string }; hc: AddedCost; mhc: AddedCost }[];
  published_overhead: number;
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
  /** What the number of each run is. */
  told: string;
  panel: string;
  /** Of the panel; null for the first. */
  view: string | null;
  /** `numbers`: what the source prints of runs, by their labels. */
  reference: { source: string; says: string; scale: string; numbers: Record<string, string> } | null;
  plays: string | null;
}
export interface Presets {
  presets: Preset[];
}
/** A preset's runs as they were stored with the code: a curve on the scale of the metric, and one number. */
export interface Preview {
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
  /** Where no one looks at it until then; null where it is kept for good. */
  expires_at: string | null;
  sweep: StoredSweep | null;
}
/** Where numbers and figure of a sweep are. */
export interface SweepLinks {
  values: string;
  figure: string;
}
/** The sweep that a view was stored with. */
export interface StoredSweep extends SweepLinks {
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
  /** What the number of each cell is. */
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
/** What server and page both know of views. */
export interface ViewRules {
  /** One a run, as many as a view holds. */
  letters: string;
  /** Letters of a run's name that labels have room for. */
  name_length: number;
  /** Connections of a hash that names no runs. */
  kinds: string[];
  /** Specs of what a visitor sees first. */
  opening: any[];
  /** The same comparison without noise, trained on text. */
  trained: any[];
  /** Every kind of connection: its name in figures, and the year of its paper. */
  connections: Record<
    string,
    {
      name: string;
      year: number | null;
      has_streams: boolean;
      /** Whether the drift moves the entries of the mixing themselves, which nothing bounds. */
      is_free: boolean;
    }
  >;
  /** What a map shows by default. */
  map: { metric: string; reduce: string };
  /** Of a hash, as far as the server reads it. */
  keys: { name: string; map: string; metric: string; reduce: string; preset: string };
  /** How a method's first, second, … run looks. */
  methods: Record<string, { marker: string; dashes: string[]; widths: number[]; light: string[]; dark: string[] }>;
  at_once: AtOnceRules;
  /** Initialisations under which dynamic mixing differs from static before training, and the connections that have them. */
  dynamic: { inits: string[]; kinds: string[] };
  /** What each cost is called. */
  costs: Record<'parameters' | 'flops' | 'bytes_moved' | 'peak_bytes' | 'seconds', string>;
}
/** What lets the page know columns without asking. */
export interface AtOnceRules {
  /**
   * By connection, the formula of `MAPS` that gives its mixing; of another connection nothing is known at once. `layers`: up to which
   * float32 products agree with the server's to 1e-6, null for no limit. `iterates`: whether the formula repeats Sinkhorn rounds.
   */
  maps: Record<string, { formula: string; iterates: boolean; layers: number | null }>;
  /** Version of the numerics that the server computes with. */
  numerics: number;
  /** Metrics of which a shallower stack's column is the beginning of a deeper one's. */
  prefix: string[];
  /** Metrics that come layer by layer on the way up. */
  forward: string[];
  /** Promised relative precision of products of layers, by metric. */
  relative: Record<string, number>;
  /** Metrics whose promised precision has an absolute part. */
  absolute: string[];
  /** Values of `block.scaling` under which no layer is the same at another depth. */
  depth_scaled: string[];
  /** In deeper stacks CKA is of fewer samples. */
  cka_layers: number;
}
export interface Room {
  id: string;
  title: string;
}

/** What a teacher writes of a room. */
export interface RoomText {
  title: string;
  sheet: string;
  presets: { title: string; description: string; state: string }[];
}

export interface SavedView {
  id: string;
  url: string;
  title: string;
  note: string;
  created_at: string;
}

export interface Boot {
  page: string;
  /** The path below which a proxy shows the server; empty for none. */
  root: string;
  version: string;
  /** Of a page without a server: the values of settings for which the runs of the opening view were written. */
  site?: { grid: Record<string, number[]> };
  /** Runs that the server computes at once; of pages that can start some. */
  workers?: number;
  /** One more where all are predicted to take no longer. */
  short_run_s?: number;
  rules: ViewRules;
  snapshot?: Snapshot;
  /** The preset whose page it is. */
  preset?: Preset;
  /** The room of a course in which the page was opened, or which it shows. */
  room?: Room;
  runs?: string[];
  state?: string;
  sweep?: StoredSweep | null;
  panel?: string;
  theme?: 'dark' | 'light';
  /** A view of the framed panel; the first without it. */
  view?: string;
}

declare global {
  interface Window {
    Plotly: any;
  }
  const Plotly: any;
}
