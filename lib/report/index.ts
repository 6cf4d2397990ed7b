export { type ReportOptions, renderReport } from './render-report.js';
export type { ReportedEvaluation, ReportedLayer, ReportInput } from './report-input.js';
