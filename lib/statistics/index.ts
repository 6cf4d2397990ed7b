export { Statistics, type StatisticsNeeds, StatisticsSums } from './statistics.js';
