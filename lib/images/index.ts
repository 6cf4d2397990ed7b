export { type ImageSet, openImages } from './image-set.js';
