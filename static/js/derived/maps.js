/** Lists the residual maps of the page by formula. Written by `make types` from the folder `maps`. */

import { mapLogits as block_energy } from './maps/block_energy.js';
import { mapLogits as cayley } from './maps/cayley.js';
import { mapLogits as circulant } from './maps/circulant.js';
import { mapLogits as iterated_cayley } from './maps/iterated_cayley.js';
import { mapLogits as kronecker } from './maps/kronecker.js';
import { mapLogits as orthostochastic } from './maps/orthostochastic.js';
import { mapLogits as permutations } from './maps/permutations.js';
import { mapLogits as quaternions } from './maps/quaternions.js';
import { mapLogits as row_softmax } from './maps/row_softmax.js';
import { mapLogits as sinkhorn } from './maps/sinkhorn.js';
import { mapLogits as spectral } from './maps/spectral.js';
import { mapLogits as transport } from './maps/transport.js';
import { mapLogits as transpose } from './maps/transpose.js';

/** @type {Record<string, import('../../types').ResidualMap>} */
export const MAPS = {
  block_energy,
  cayley,
  circulant,
  iterated_cayley,
  kronecker,
  orthostochastic,
  permutations,
  quaternions,
  row_softmax,
  sinkhorn,
  spectral,
  transport,
  transpose,
};
