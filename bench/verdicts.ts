import type { Line } from './measure.ts';

/** A target of the project as a comparison within one run. */
export interface Verdict {
  what: string;
  value: string;
  target: string;
  reached: boolean;
}

export type Figure = 'p50' | 'p99' | 'perSecond' | 'serverCpuMs' | 'appCpuMs';

/** The lines of a run, by what they measured. What was not measured is undefined, and so is all that is computed from it. */
export class Figures {
  #lines: Line[];

  constructor(lines: Line[]) {
    this.#lines = lines;
  }

  of(phase: string, target: string, key: Figure): number | undefined {
    return this.#line(phase, target)?.[key] ?? undefined;
  }

  /** A further figure of a line, by its name with the unit. */
  more(phase: string, key: string, target = 'repoint'): number | undefined {
    return this.#line(phase, target)?.more?.[key];
  }

  #line(phase: string, target: string): Line | undefined {
    return this.#lines.find((line) => line.phase === phase && line.target === target);
  }
}

export function over(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a / b;
}

export function minus(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a - b;
}

/** None where there is no value. A value without a unit is a ratio. */
export function atMost(what: string, value: number | undefined, most: number, unit = ''): Verdict[] {
  return verdictOf(what, value, `≤ ${most}${unit}`, unit, (it) => it <= most);
}

export function atLeast(what: string, value: number | undefined, least: number, unit = ''): Verdict[] {
  return verdictOf(what, value, `≥ ${least}${unit}`, unit, (it) => it >= least);
}

function verdictOf(
  what: string,
  value: number | undefined,
  target: string,
  unit: string,
  isReached: (value: number) => boolean,
): Verdict[] {
  if (value === undefined || Number.isNaN(value)) return [];
  const digits = Math.abs(value) >= 100 ? 0 : unit === '' || Math.abs(value) < 10 ? 2 : 1;
  return [{ what, value: `${value.toFixed(digits)}${unit}`, target, reached: isReached(value) }];
}
