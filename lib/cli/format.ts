// Numbers on a terminal are written as everywhere else.

export { bytes, count, number, percent, seconds } from '../number-formats.js';
