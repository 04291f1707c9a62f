import type { Meter } from './meter.ts';
import { compileRegex, type Instruction } from './regex-parse.ts';

/**
 * Whether the pattern matches anywhere in the text, in RE2 syntax. All states are followed at once (Thompson's
 * construction), so the time is at most pattern length x text length, whatever the pattern; both are metered.
 * Throws RegexError for a pattern that cannot be read.
 */
export function regexMatches(pattern: string, text: string, meter: Meter): boolean {
  meter.spend(Math.ceil(pattern.length / 8) + 1);
  const program = compileRegex(pattern);
  meter.spend(Math.ceil(program.length / 16));
  return search(program, text, meter);
}

function search(program: readonly Instruction[], text: string, meter: Meter): boolean {
  const visited = new Int32Array(program.length).fill(-1);
  let states: number[] = [];
  let before = -1;
  let at = 0;
  for (let round = 0; ; round++) {
    const here = at < text.length ? (text.codePointAt(at) ?? -1) : -1;
    // A match may begin at every position: the first instruction is always among the states.
    const reached = close(program, [...states, 0], visited, round, before, here, meter);
    const next: number[] = [];
    for (const state of reached) {
      const instruction = program[state];
      if (instruction?.op === 'match') return true;
      if (instruction?.op === 'char' && here >= 0 && instruction.test(here)) next.push(state + 1);
    }
    if (here < 0) return false;
    states = next;
    before = here;
    at += here > 0xffff ? 2 : 1;
  }
}

/** The states reached without reading: follows jumps, splits and the assertions that hold here. */
function close(
  program: readonly Instruction[],
  from: number[],
  visited: Int32Array,
  round: number,
  before: number,
  here: number,
  meter: Meter,
): number[] {
  const reached: number[] = [];
  const open = from;
  let visits = 0;
  while (open.length > 0) {
    const state = open.pop() ?? 0;
    visits++;
    if (visited[state] === round) continue;
    visited[state] = round;
    const instruction = program[state];
    switch (instruction?.op) {
      case 'jump':
        open.push(instruction.to);
        break;
      case 'split':
        open.push(instruction.second, instruction.first);
        break;
      case 'assert':
        if (holds(instruction.kind, before, here)) open.push(state + 1);
        break;
      default:
        reached.push(state);
    }
  }
  meter.spend(Math.ceil(visits / 16));
  return reached;
}

function holds(kind: Extract<Instruction, { op: 'assert' }>['kind'], before: number, here: number): boolean {
  switch (kind) {
    case 'start':
      return before < 0;
    case 'end':
      return here < 0;
    case 'line-start':
      return before < 0 || before === 10;
    case 'line-end':
      return here < 0 || here === 10;
    case 'boundary':
      return isWordAt(before) !== isWordAt(here);
    case 'no-boundary':
      return isWordAt(before) === isWordAt(here);
  }
}

function isWordAt(codePoint: number): boolean {
  return codePoint >= 0 && codePoint < 128 && /\w/.test(String.fromCodePoint(codePoint));
}
