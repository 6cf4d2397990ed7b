export { activationFile, readActivations } from './activation-file.js';
export { advance } from './advance.js';
export { BlockLoader } from './block-loader.js';
export { expectFinite, expectFiniteBlock } from './expect-finite.js';
export { expectTensors } from './expect-tensors.js';
export {
  batchSize,
  batchTokens,
  blockRunner,
  disposeAll,
  embed,
  type Input,
  mapBatches,
  miniBatches,
  uploadInput,
} from './hidden-states.js';
export { addPositionBias, copyLinear, executor, type LinearWeights } from './linear-execution.js';
export { type LoadedBlock, linearOf, loadBlock, loadWeights } from './load-block.js';
export { operandTypeOf } from './operand-type.js';
export { dealt, disposeEach, onEach, onPlaces, PerDevice } from './per-device.js';
export { PositionBiases, positionBiasFile } from './position-biases.js';
export { queueEach } from './queue-each.js';
export {
  loadStoredBlock,
  openCompanions,
  runFiles,
  type StoredBlock,
} from './stored-block.js';
export { checkpointModel, type StoredModel } from './stored-model.js';
