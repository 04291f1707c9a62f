/**
 * Metadata keys: a plain key, or a path `$.a.b.0` with `\.` for a dot in a name (what JSONHero paths do for keys written by the SDK).
 * Names that could reach a prototype are refused before a path gets here (schema.ts).
 */
export function parsePath(key: string): string[] {
  if (!key.startsWith('$.')) return [key];
  return (key.slice(2).match(/(?:[^.\\]|\\.)+/g) ?? []).map((part) => part.replaceAll(/\\(.)/g, '$1'));
}
