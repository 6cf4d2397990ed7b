// The value a record has under a field's name. A name with dots that is no field itself leads through nested objects
// and lists, as chats and annotated corpora are written: 'meta.text', 'messages.0.content'.

export function valueAt(record: unknown, name: string): unknown {
  if (typeof record !== 'object' || record === null) return undefined;
  if (Object.hasOwn(record, name)) return (record as Record<string, unknown>)[name];
  const dot = name.indexOf('.');
  return dot < 0 ? undefined : valueAt(valueAt(record, name.slice(0, dot)), name.slice(dot + 1));
}
