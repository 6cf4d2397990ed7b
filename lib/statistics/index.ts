export { Drift, DriftSums } from './drift.js';
export { type GroupNeeds, GroupStatistics, GroupSums } from './group.js';
export { Statistics, StatisticsSums } from './statistics.js';
