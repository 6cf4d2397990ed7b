export { blockRunner, disposeAll, embed, miniBatches, uploadIds } from './hidden-states.js';
export { addPositionBias, executor, type LinearWeights } from './linear-execution.js';
export { type LoadedBlock, loadBlock, loadWeights } from './load-block.js';
export { PositionBiases, positionBiasFile } from './position-biases.js';
