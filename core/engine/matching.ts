import { equalities, isTrue, type JsonValue, pathGet } from '../events/expression/index.ts';
import type { WaitKind } from '../model/history.ts';
import type { Sql } from '../ports.ts';
import { readBound } from './binding.ts';

const SEPARATOR = '\n';
/** A longer value is indexed by its hash: the expression itself is evaluated on what the probe finds. */
const MAX_VALUE_CHARS = 128;

export function runMatch(run: string): string {
  return `r${SEPARATOR}${run}`;
}

/** Runs that wait for this task to be registered. */
export function taskMatch(task: string): string {
  return `k${SEPARATOR}${task}`;
}

/** Runs that wait for a version of this task under this name. */
export function releaseMatch(task: string, release: string): string {
  return `v${SEPARATOR}${task}${SEPARATOR}${release}`;
}

export function tokenMatch(token: string): string {
  return `t${SEPARATOR}${token}`;
}

/**
 * Finds the waits that an event may end with one index probe per kind of question asked about its name: a wait with an equality on a
 * field is indexed by that field's value, whatever the number of waits.
 */
export class WaitIndex {
  #sql: Sql;
  #paths = new Map<string, Set<string>>();

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  reload(): void {
    this.#paths.clear();
  }

  #pathsOf(name: string): Set<string> {
    let paths = this.#paths.get(name);
    if (!paths) {
      paths = new Set(
        this.#sql.all<{ path: string }>(`SELECT path FROM wait_paths WHERE name = ?`, name).map((row) => row.path),
      );
      this.#paths.set(name, paths);
    }
    return paths;
  }

  /** The indexed value of a wait, or null for one that only time ends. */
  matchOf(wait: WaitKind): string | null {
    switch (wait.kind) {
      case 'sleep':
        return null;
      case 'run':
        return runMatch(wait.run);
      case 'token':
        return tokenMatch(wait.token);
      case 'event': {
        const equality = wait.expression === undefined ? undefined : equalities(readBound(wait.expression))[0];
        const path = equality ? JSON.stringify(equality.path) : '';
        const paths = this.#pathsOf(wait.name);
        if (!paths.has(path)) {
          this.#sql.run(`INSERT OR IGNORE INTO wait_paths (name, path) VALUES (?, ?)`, wait.name, path);
          paths.add(path);
        }
        return eventMatch(wait.name, path, equality ? equality.value : null);
      }
    }
  }

  waitsFor(name: string): boolean {
    return this.#pathsOf(name).size > 0;
  }

  /** The index values under which waits for this event may stand. `event` is parsed only when a field is asked for. */
  probes(name: string, event: () => JsonValue): string[] {
    return [...this.#pathsOf(name)].map((path) =>
      eventMatch(name, path, path === '' ? null : pathGet(event(), JSON.parse(path) as string[])),
    );
  }
}

/** Whether a bound expression holds for the arriving event; one that cannot be evaluated does not. */
export function holds(bound: string, async: JsonValue, nowMs: number): boolean {
  return isTrue(readBound(bound), { async, nowMs });
}

function eventMatch(name: string, path: string, value: unknown): string {
  const text = path === '' ? '' : (JSON.stringify(value ?? null) ?? 'null');
  return ['e', name, path, text.length > MAX_VALUE_CHARS ? hash(text) : text].join(SEPARATOR);
}

/** FNV-1a, twice 32 bits with different seeds. */
function hash(text: string): string {
  let a = 0x811c9dc5;
  let b = 0x1b873593;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    a = Math.imul(a ^ code, 0x01000193);
    b = Math.imul(b ^ code, 0x85ebca6b);
  }
  return `#${(a >>> 0).toString(36)}${(b >>> 0).toString(36)}`;
}
