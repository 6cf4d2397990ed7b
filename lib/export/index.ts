export { biasDtype } from './bias-dtype.js';
export { biasCapability, expectClient, readByUsAlone } from './capabilities.js';
export { describeResult } from './describe-result.js';
export { expectEmbeddingBits, expectGrid } from './expect-grid.js';
export { openExport } from './export-writer.js';
export { recordFiles } from './file-digests.js';
export type {
  ExportedBlock,
  ExportedLinear,
  ExportFormat,
  ExportWriter,
} from './format.js';
export { openWritten } from './joined-parts.js';
export { type ModelFiles, openModelFiles } from './model-files.js';
export { PositionBiasWriter } from './position-bias-writer.js';
export { findFormat, formats } from './registry.js';
export {
  checkExportOptions,
  checkVerifyOptions,
  type ExportOptions,
  exportResult,
  type ResultEvent,
  resultDefaults,
  type Verification,
  type VerifyOptions,
  verify,
} from './results.js';
export { storedBitsOf } from './stored-bits.js';
