import type { Admission } from '../model/task.ts';
import type { KeyReader } from './binding.ts';
import type { Kernel } from './kernel.ts';

/**
 * Asks for the place of the only run of a key. Returns the name that the run is to hold; null when the rule does not bind it; 'taken' when
 * another is there and stays.
 */
export function takeSingle(
  k: Kernel,
  rule: Extract<Admission, { kind: 'single' }>,
  keys: KeyReader,
): string | 'taken' | null {
  if (rule.expression !== undefined) {
    const value = keys.value(rule.expression);
    if (value === undefined || value === false) return null;
  }
  const name = `single:${keys.name(rule)}`;
  const holder = k.names.runOf(name);
  if (holder === null) return name;
  if (rule.taken === 'skip') return 'taken';
  const other = k.find(holder);
  if (other) k.end(other, { status: 'cancelled', data: null, reason: 'replaced' });
  // What followed from its end may have taken the place.
  return k.names.runOf(name) === null ? name : 'taken';
}
