export { type Certificate, certify } from './certificate.js';
export { type FitInput, fitChannelBias, fitPositionBias } from './fit.js';
