export {
  type EvaluationOptions,
  evaluatePerplexity,
  type Perplexity,
  runBlocks,
} from './perplexity.js';
