import type { JsonText } from './payload.ts';

/**
 * A change of a run's document, a JSON object under a name. `path` names members from the root (an index of an array as text); what is
 * missing on the way becomes an object, and an empty path means the whole document.
 */
export interface DocumentChange {
  path: string[];
  /**
   * `set`: the value. `merge`: an object's members into the object there. `delete`: the member goes. `append`: to the array there; another value
   * becomes its first item. `remove`: items of the array that equal the value. `add`: the number to the number there, or to 0.
   */
  do: 'set' | 'merge' | 'delete' | 'append' | 'remove' | 'add';
  value?: JsonText;
  /** Nothing is made on the way: where what holds the member is not there, or holds none, the change is left out. */
  existing?: true;
}

export interface DocumentPatch {
  document: string;
  /** Another run's document, changed in the same transaction; unknown: nothing happens. Default: the reporting run's. */
  run?: string;
  /** Applied once under this id, as far back as DOCUMENT_IDS_KEPT changes. */
  id: string;
  changes: DocumentChange[];
  /** The document's UTF-8 size, above which the whole report is refused ('payload-too-large'). */
  maxBytes: number;
  /** What the document is where nothing has changed it yet. Default `{}`. */
  initial?: JsonText;
}

export const DOCUMENT_IDS_KEPT = 50;

/** Segments that would reach an object's prototype. */
const UNSAFE = new Set(['__proto__', 'constructor', 'prototype']);

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** The document after the changes, in order; those that do not fit what is there are left out. `document` is not changed. */
export function changeDocument(document: Json, changes: readonly DocumentChange[]): Json {
  let root = structuredClone(document);
  for (const change of changes) {
    if (change.path.some((name) => UNSAFE.has(name))) continue;
    const value = change.value === undefined ? null : (JSON.parse(change.value) as Json);
    if (change.path.length === 0) {
      if (change.do === 'set') root = value;
      else if (change.do === 'merge' && isObject(root) && isObject(value)) root = { ...root, ...value };
      else if (change.do === 'delete') root = {};
      continue;
    }
    if (typeof root !== 'object' || root === null) root = {};
    const existing = at(root, change.path);
    if (change.existing) {
      const holder = at(root, change.path.slice(0, -1));
      if (typeof holder !== 'object' || holder === null) continue;
    }
    switch (change.do) {
      case 'set':
        put(root, change.path, value);
        break;
      case 'merge':
        if (isObject(value)) put(root, change.path, isObject(existing) ? { ...existing, ...value } : value);
        break;
      case 'delete': {
        const holder = at(root, change.path.slice(0, -1));
        const name = change.path.at(-1) as string;
        if (Array.isArray(holder)) {
          if (Number.isInteger(Number(name)) && Number(name) >= 0) holder.splice(Number(name), 1);
        } else if (isObject(holder)) delete holder[name];
        break;
      }
      case 'append':
        if (existing === undefined) put(root, change.path, [value]);
        else if (Array.isArray(existing)) existing.push(value);
        else put(root, change.path, [existing, value]);
        break;
      case 'remove':
        if (Array.isArray(existing))
          put(
            root,
            change.path,
            existing.filter((item) => !isEqual(item, value)),
          );
        break;
      case 'add':
        if (typeof value === 'number') put(root, change.path, (typeof existing === 'number' ? existing : 0) + value);
        break;
    }
  }
  return root;
}

function at(root: Json, path: readonly string[]): Json | undefined {
  let value: Json | undefined = root;
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, Json>)[name];
  }
  return value;
}

function put(root: Json, path: readonly string[], value: Json): void {
  let target = root as Record<string, Json>;
  for (const name of path.slice(0, -1)) {
    const next = Object.hasOwn(target, name) ? target[name] : undefined;
    if (typeof next === 'object' && next !== null) target = next as Record<string, Json>;
    else target = target[name] = {};
  }
  const last = path.at(-1) as string;
  // An array grows by its items, never by an index far off or a name.
  if (Array.isArray(target) && !(Number.isInteger(Number(last)) && Number(last) >= 0 && Number(last) <= target.length))
    return;
  target[last] = value;
}

function isObject(value: Json | undefined): value is { [name: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isEqual(a: Json | undefined, b: Json | undefined): boolean {
  if (Object.is(a, b)) return true;
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, i) => isEqual(item, b[i]));
  if (!isObject(a) || !isObject(b)) return false;
  const names = Object.keys(a);
  return (
    names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && isEqual(a[name], b[name]))
  );
}
