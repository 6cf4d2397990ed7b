export { Drift, DriftSums } from './drift.js';
export { type GroupNeeds, type GroupReads, GroupStatistics, GroupSums } from './group.js';
export { Statistics, type StatisticsNeeds, StatisticsSums } from './statistics.js';
