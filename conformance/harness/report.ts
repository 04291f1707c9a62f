import type { CaseResult } from './runner.ts';

export interface RunReport {
  date: string;
  url: string;
  mode: string;
  version: string;
  node: string;
  passed: number;
  failed: number;
  skipped: number;
  durationMs: number;
  cases: Array<Omit<CaseResult, 'suite'> & { vendor: string; suite: string; sdk: string }>;
}

export function count(results: CaseResult[]): { passed: number; failed: number; skipped: number } {
  const of = (status: CaseResult['status']): number => results.filter((result) => result.status === status).length;
  return { passed: of('passed'), failed: of('failed'), skipped: of('skipped') };
}

export function toJson(
  results: CaseResult[],
  run: Pick<RunReport, 'date' | 'url' | 'mode' | 'version' | 'durationMs'>,
): string {
  const report: RunReport = {
    ...run,
    node: process.version,
    ...count(results),
    cases: results.map(({ suite, ...rest }) => ({ vendor: suite.vendor, suite: suite.name, sdk: suite.sdk, ...rest })),
  };
  return `${JSON.stringify(report, null, 2)}\n`;
}

export function toJunit(results: CaseResult[], durationMs: number): string {
  const suites = new Map<string, CaseResult[]>();
  for (const result of results) {
    const name = `${result.suite.vendor}: ${result.suite.name} (${result.suite.sdk})`;
    suites.set(name, [...(suites.get(name) ?? []), result]);
  }
  const body = [...suites].map(([name, cases]) => {
    const { failed, skipped } = count(cases);
    const seconds = cases.reduce((sum, item) => sum + item.durationMs, 0) / 1000;
    const lines = cases.map((item) => caseXml(name, item));
    return `  <testsuite name="${xml(name)}" tests="${cases.length}" failures="${failed}" skipped="${skipped}" time="${seconds}">\n${lines.join('\n')}\n  </testsuite>`;
  });
  const { failed, skipped } = count(results);
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites tests="${results.length}" failures="${failed}" skipped="${skipped}" time="${durationMs / 1000}">\n${body.join('\n')}\n</testsuites>\n`;
}

function caseXml(suite: string, item: CaseResult): string {
  const open = `    <testcase classname="${xml(suite)}" name="${xml(`${item.ids.join(' ')} ${item.title}`)}" file="${xml(item.file)}" time="${item.durationMs / 1000}"`;
  if (item.status === 'passed') return `${open}/>`;
  if (item.status === 'skipped') return `${open}><skipped message="${xml(item.reason ?? '')}"/></testcase>`;
  const [head = ''] = (item.error ?? '').split('\n');
  const text = [item.error, ...(item.details ?? [])].join('\n');
  return `${open}><failure message="${xml(head)}">${xml(text)}</failure></testcase>`;
}

function xml(text: string): string {
  return (
    text
      // XML 1.0 has no form for the other control characters, not even escaped.
      // oxlint-disable-next-line no-control-regex
      .replace(/[\u0000-\u0008\u000B\u000C\u000E-\u001F]/g, '')
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      .replaceAll('"', '&quot;')
  );
}
