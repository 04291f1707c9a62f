import type { Line } from './measure.ts';
import type { Verdict } from './verdicts.ts';

export interface Machine {
  date: string;
  cores: number;
  cpu: string;
  memoryGiB: number;
  system: string;
  node: string;
  command: string;
}

const HEAD = [
  'phase',
  'target',
  'n',
  'p50',
  'p95',
  'p99',
  'per s',
  'server CPU',
  'app CPU',
  'MiB',
  'others %',
  'dup',
  'lost',
  '',
];

export function renderLine(line: Line): string {
  const cells = cellsOf(line);
  const figures = HEAD.slice(2, 13).flatMap((name, i) => (cells[i + 2] === '' ? [] : [`${name} ${cells[i + 2]}`]));
  return `${line.phase.padEnd(34)} ${line.target.padEnd(11)} ${figures.join('  ')}  ${cells[13] ?? ''}`.trimEnd();
}

/** Times in ms; CPU in ms for each unit of work; MiB is the peak of all the target's processes. */
export function renderLines(lines: Line[]): string {
  return columns([HEAD, ...lines.map(cellsOf)]);
}

export function renderVerdicts(verdicts: Verdict[]): string {
  const rows = verdicts.map(({ what, value, target, reached }) => [reached ? 'ok  ' : 'MISS', what, value, target]);
  return columns([['', 'target', 'measured', 'to reach'], ...rows]);
}

export function renderMarkdown(machine: Machine, lines: Line[], verdicts: Verdict[]): string {
  const table = (head: string[], rows: string[][]): string =>
    [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
  return `${machine.date.slice(0, 10)}, \`${machine.command}\` on ${machine.cores} × ${machine.cpu}, ${machine.memoryGiB} GiB, ${machine.system}, node ${machine.node}.

${table(HEAD, lines.map(cellsOf))}

${table(
  ['target', 'measured', 'to reach', ''],
  verdicts.map(({ what, value, target, reached }) => [what, value, target, reached ? 'reached' : '**missed**']),
)}
`;
}

function cellsOf(line: Line): string[] {
  const more = Object.entries(line.more ?? {}).map(([name, value]) => `${name} ${round(value)}`);
  return [
    line.phase,
    line.target,
    line.count > 0 ? String(line.count) : '',
    round(line.p50),
    round(line.p95),
    round(line.p99),
    round(line.perSecond),
    line.peakMiB === 0 ? '' : round(line.serverCpuMs),
    line.peakMiB === 0 ? '' : round(line.appCpuMs),
    line.peakMiB === 0 ? '' : round(line.peakMiB),
    line.peakMiB === 0 ? '' : round(line.othersPercent),
    String(line.duplicates),
    String(line.lost),
    more.join(', '),
  ];
}

function round(value: number | null): string {
  if (value === null) return '';
  return Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function columns(rows: string[][]): string {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
