/** The terms of the page, each with one definition: shown on hover, and listed in Help. */

/** @type {Record<string, string>} */
export const GLOSSARY = {
  stream:
    'A copy of the residual state: layers read a weighted sum of the copies and write back to each. Residual networks have one, HC and mHC several. We measured no benefit of four; papers report benefits for large language models.',
  branch: 'What a layer computes, such as attention or an MLP. It reads the streams and adds its output to them.',
  layer: 'One branch together with the mixing of the streams around it.',
  gain: 'The largest factor, over streams, by which the product of the mixing matrices amplifies a signal that all streams share. Forward for the signal, backward for the gradient; 1 keeps its size.',
  mixing: 'How a layer combines the streams: each new stream is a weighted sum of the old ones. The weights are H_res.',
  H_pre: 'n weights per layer: how much the branch reads of each stream.',
  H_res: 'An n × n matrix per layer: how the streams are mixed on their way past the branch.',
  H_post: 'n weights per layer: how much of the output of the branch is added to each stream.',
  'doubly stochastic':
    'A matrix without negative entries whose rows and columns each sum to 1. A product of such matrices is one too, so its gain is 1.',
  manifold: 'The set that mHC keeps H_res in: the doubly stochastic matrices.',
  Sinkhorn:
    'Divides rows and columns of a positive matrix by their sums in turn, until both sum to 1. mHC makes H_res doubly stochastic this way.',
  drift: 'Noise of standard deviation σ on the raw mixing weights. It stands for what training does to them.',
  HC: 'Hyper-Connections: several streams, whose mixing weights are free.',
  mHC: 'Manifold-Constrained Hyper-Connections: several streams, whose mixing is doubly stochastic.',
  'equal compute':
    'Loss on unseen text after as many operations: four streams against one, each at its best learning rate, 12 to 64 layers of width 32. One or two seeds each, which decide nothing. All results: docs/drift.md.',
  run: 'One stack of layers with its settings and seed: one forward and one backward pass, measured at every layer.',
  recording: "A forward and backward pass of someone's own model, measured in the same way.",
  snapshot: 'A view stored behind a short link: it opens the same numbers.',
  view: 'What the page shows: up to four runs, their settings, and how they are displayed.',
  sweep: 'A grid of runs over two settings.',
};
