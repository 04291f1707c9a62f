/** The environment that the vendors' own variables configure. */
export const DEFAULT_ENVIRONMENT = 'default';

const NAME = /^[a-z][a-z0-9-]{0,39}$/;
const BRANCH_MARK = '~';
const MAX_BRANCH_CHARS = 40;

/** Whether text may name an environment; keys carry it, so it is short and plain. */
export function isEnvironmentName(text: string): boolean {
  return NAME.test(text);
}

/** A branch's environment: any text names a branch, and two texts never the same. */
export function branchEnvironment(environment: string, branch: string): string {
  const plain = branch
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, MAX_BRANCH_CHARS);
  const suffix = plain === branch ? '' : `-${hash(branch).toString(36)}${hash(`${branch} `).toString(36)}`;
  return `${environment}${BRANCH_MARK}${plain}${suffix}`;
}

/** The environment whose keys count: a branch has none of its own. */
export function keyedEnvironment(environment: string): string {
  const at = environment.indexOf(BRANCH_MARK);
  return at < 0 ? environment : environment.slice(0, at);
}

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
