/** Objects of an environment's cells are named like this; the number is the one that ids carry (ids.ts). */
export function cellName(environment: string, n: number): string {
  return `${environment}/${n}`;
}

/** The home of a task, or of a queue or flow-control key: rendezvous hashing, so that a change of the count moves as little as possible. */
export function homeCell(key: string, count: number): number {
  let best = 0;
  let highest = -1;
  for (let n = 0; n < count; n++) {
    const weight = hash(`${n}\n${key}`);
    if (weight > highest) {
      highest = weight;
      best = n;
    }
  }
  return best;
}

/** FNV-1a with a final mix (murmur3's), as 32 unsigned bits. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
