/**
 * Metadata keys: a plain key, or a path `$.a.b.0` with `\.` for a dot in a name (what JSONHero paths do for keys written by the SDK).
 * Names that could reach a prototype are refused before a path gets here (schema.ts).
 */
export function parsePath(key: string): string[] {
  if (!key.startsWith('$.')) return [key];
  return (key.slice(2).match(/(?:[^.\\]|\\.)+/g) ?? []).map((part) => part.replaceAll(/\\(.)/g, '$1'));
}

export function getAt(root: unknown, path: readonly string[]): unknown {
  let value = root;
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}

/** Sets a value in place; what is missing on the way becomes an object. */
export function setAt(root: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let target: Record<string, unknown> = root;
  for (const name of path.slice(0, -1)) {
    const next = Object.hasOwn(target, name) ? target[name] : undefined;
    if (typeof next === 'object' && next !== null) target = next as Record<string, unknown>;
    else target = target[name] = {};
  }
  const last = path.at(-1);
  if (last !== undefined) target[last] = value;
}
