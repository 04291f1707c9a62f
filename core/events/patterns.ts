/**
 * Triggers name events exactly or by a prefix: a `*` at the end, right after `/` or `.` (`app/*`, `app/user.*`), or alone.
 * Anywhere else a `*` is an ordinary character.
 */
export function matchPattern(pattern: string, eventName: string): boolean {
  if (pattern === eventName || pattern === '*') return true;
  return isWildcard(pattern) && eventName.startsWith(pattern.slice(0, -1));
}

/**
 * Every pattern that matches the name, the exact one first and `*` last: one index look-up each finds all triggers.
 * Their number is bounded by the name's delimiters.
 */
export function patternsFor(eventName: string): string[] {
  const patterns = new Set([eventName]);
  for (let end = 1; end <= eventName.length; end++) {
    if (isDelimiter(eventName[end - 1])) patterns.add(`${eventName.slice(0, end)}*`);
  }
  patterns.add('*');
  return [...patterns];
}

export function isWildcard(pattern: string): boolean {
  return pattern === '*' || (pattern.endsWith('*') && isDelimiter(pattern.at(-2)));
}

function isDelimiter(character: string | undefined): boolean {
  return character === '/' || character === '.';
}
