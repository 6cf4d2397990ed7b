// JSON objects from untrusted bytes: strict UTF-8, and no key twice in one object, since JSON.parse would silently keep
// the last and two readers could then see two different checkpoints. Plain JavaScript, because worker threads parse too.

/**
 * `what` names the bytes in messages.
 * @param {Uint8Array} bytes
 * @param {string} what
 * @returns {Record<string, unknown>}
 */
export function parseObject(bytes, what) {
  let text;
  let value;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    value = JSON.parse(text);
  } catch (cause) {
    const reason = cause instanceof SyntaxError ? cause.message : 'it is not UTF-8 text';
    throw new Error(`Expected JSON for ${what} but received something else: ${reason}`, { cause });
  }
  if (!isRecord(value)) {
    throw new Error(`Expected a JSON object for ${what} but received ${describe(value)}`);
  }
  const duplicate = findDuplicateKey(text);
  if (duplicate !== undefined) {
    throw new Error(`Expected each key once in ${what} but received '${duplicate}' twice`);
  }
  return value;
}

/**
 * @param {unknown} value
 * @returns {value is Record<string, unknown>}
 */
export function isRecord(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** @param {unknown} value */
function describe(value) {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'an array' : `a ${typeof value}`;
}

/**
 * Walks text that JSON.parse has accepted, so only strings and braces need to be told apart. A string followed by a
 * colon is a key of the innermost open object.
 * @param {string} text
 * @returns {string | undefined}
 */
function findDuplicateKey(text) {
  /** @type {Set<string>[]} */
  const open = [];
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (character === '{') open.push(new Set());
    else if (character === '}') open.pop();
    if (character !== '"') continue;
    const start = i;
    for (i++; text[i] !== '"'; i++) if (text[i] === '\\') i++;
    let next = i + 1;
    while (text[next] === ' ' || text[next] === '\n' || text[next] === '\r' || text[next] === '\t')
      next++;
    if (text[next] !== ':') continue;
    const key = JSON.parse(text.slice(start, i + 1));
    const keys = open.at(-1);
    if (keys?.has(key)) return key;
    keys?.add(key);
  }
  return undefined;
}
