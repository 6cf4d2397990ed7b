export type { ExportedBlock, ExportFormat, ExportInput, ExportWriter } from './format.js';
export { PositionBiasWriter } from './position-bias-writer.js';
export { findFormat, formats } from './registry.js';
