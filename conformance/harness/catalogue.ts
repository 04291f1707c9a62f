import { readFileSync } from 'node:fs';
import type { Vendor } from './suite.ts';

export interface Feature {
  id: string;
  name: string;
}

/** What each vendor's unmodified code can ask of a server: the rows of the compatibility table. */
export function featuresOf(vendor: Exclude<Vendor, 'native'>): Feature[] {
  const text = readFileSync(new URL(`../catalogue/${vendor}.json`, import.meta.url), 'utf8');
  return Object.entries(JSON.parse(text) as Record<string, string>).map(([id, name]) => ({ id, name }));
}
