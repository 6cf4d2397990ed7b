// The value a record has under a field's name. A name with dots that is no field itself leads through nested objects
// and lists, as chats and annotated corpora are written: 'meta.text', 'messages.0.content'. Plain JavaScript, because a
// worker thread reads it too.

/**
 * @param {unknown} record
 * @param {string} name
 * @returns {unknown}
 */
export function valueAt(record, name) {
  if (typeof record !== 'object' || record === null) return undefined;
  if (Object.hasOwn(record, name)) return /** @type {Record<string, unknown>} */ (record)[name];
  const dot = name.indexOf('.');
  return dot < 0 ? undefined : valueAt(valueAt(record, name.slice(0, dot)), name.slice(dot + 1));
}
